package main

import (
	"fmt"
	"maps"

	"semper/actor"
	"semper/actor/registry"
)

// The messages of a cart: a sealed interface, and a struct for each kind.
type (
	message interface{ isMessage() }
	add     struct {
		Article string
		from    actor.From[int]
	}
	list struct{ from actor.From[map[string]int] }
	drop struct { // breaks the cart, to be seen
		Metres int
		from   actor.From[struct{}]
	}
)

func (add) isMessage()  {}
func (list) isMessage() {}
func (drop) isMessage() {}

// carts finds the cart of a customer. The entry moves to the new process when a crashed one is restarted.
var carts = registry.New[string, struct{}](registry.Options{})

// A cart is what one customer has chosen. It needs no lock: its state is reached by messages alone.
type cart struct {
	Customer string
	Articles map[string]int
}

func newCart(customer string) actor.Server[message] {
	return &cart{Customer: customer, Articles: map[string]int{}}
}

// most is how many different articles a cart takes.
const most = 100

func (c *cart) Handle(_ *actor.Self[message], m message) error {
	switch m := m.(type) {
	case add:
		if _, has := c.Articles[m.Article]; !has && len(c.Articles) >= most {
			m.from.Fail(fmt.Errorf("the cart has %d different articles already", most))
			break
		}
		c.Articles[m.Article]++
		m.from.Reply(c.Articles[m.Article])
	case list:
		m.from.Reply(maps.Clone(c.Articles))
	case drop:
		panic("the cart of " + c.Customer + " fell off the shelf")
	}
	return nil
}
