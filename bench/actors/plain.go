package main

import (
	"runtime"
	"sync"
)

// What the same costs with a goroutine and a channel, without an end that can be seen, names, links or supervision.

func plainCall(n int) float64 {
	requests := make(chan chan int)
	defer close(requests)
	go func() {
		served := 0
		for r := range requests {
			served++
			r <- served
		}
	}()
	reply := make(chan int, 1)
	return per(n, func(n int) {
		for range n {
			requests <- reply
			<-reply
		}
	})
}

func plainCast(n int) float64 {
	return per(n, func(n int) {
		c, done := make(chan message, 1024), make(chan struct{})
		go func() {
			for m := range c {
				if t, ok := m.(tick); ok && t.left == 0 {
					close(t.done)
				}
			}
		}()
		for i := n - 1; i >= 0; i-- {
			c <- tick{i, done}
		}
		<-done
		close(c)
	})
}

// servers starts goroutines that each have acknowledged their start, and say when they have ended.
func servers(n int) ([]chan message, *sync.WaitGroup) {
	var ended sync.WaitGroup
	all := make([]chan message, 0, n)
	ready := make(chan struct{})
	for range n {
		c := make(chan message, 1)
		ended.Go(func() {
			ready <- struct{}{}
			for range c {
				ready <- struct{}{}
			}
		})
		<-ready
		all = append(all, c)
	}
	return all, &ended
}

func plainStart(n int) float64 {
	cost := 0.0
	for _, n := range []int{max(1, n/10), n} {
		runtime.GC()
		var all []chan message
		var ended *sync.WaitGroup
		cost = timed(func() { all, ended = servers(n) }) / float64(n)
		end(all, ended)
	}
	return cost
}

func end(all []chan message, ended *sync.WaitGroup) {
	for _, c := range all {
		close(c)
	}
	ended.Wait()
}

func plainIdle(n int) float64 {
	var all []chan message
	var ended *sync.WaitGroup
	bytes := bytesOf(func() any {
		all, ended = servers(n)
		return all
	})
	end(all, ended)
	return bytes / float64(n)
}

func plainRing(n int) float64 {
	const size = 1000
	all := make([]chan hop, size)
	for i := range all {
		all[i] = make(chan hop, 1)
	}
	var ended sync.WaitGroup
	for i, c := range all {
		to := all[(i+1)%size]
		ended.Go(func() {
			for m := range c {
				if m.left == 0 {
					close(m.done)
				} else {
					to <- hop{m.left - 1, m.done}
				}
			}
		})
	}
	cost := per(n, func(n int) {
		done := make(chan struct{})
		all[0] <- hop{n, done}
		<-done
	})
	for _, c := range all {
		close(c)
	}
	ended.Wait()
	return cost
}

func plainFan(n, each int) float64 {
	c, fire := make(chan message, 1024), make(chan struct{})
	var senders sync.WaitGroup
	for range n {
		senders.Go(func() {
			<-fire
			for range each {
				c <- arrive{}
			}
		})
	}
	return timed(func() {
		close(fire)
		for range n * each {
			<-c
		}
		senders.Wait()
	})
}
