package delivery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"semper"
	"semper/api"
	"semper/pipeline/attest"
)

// Keys has the key of a generation, from 1. The same generation has the same key for as long as the installation has its identity.
type Keys func(generation int) (*attest.Key, error)

// signer is the key that signs now: of the newest generation that there is. Nil where it cannot be had.
func (d *Desk) signer() (key *attest.Key, generation int) {
	generation = 1
	for _, k := range d.records.Ring() {
		generation = max(generation, k.Generation)
	}
	if d.keys == nil {
		return nil, generation
	}
	if d.key == nil || d.generation != generation {
		key, err := d.keys(generation)
		if err != nil {
			return nil, generation // whoever is to sign says that there is no key
		}
		d.key, d.generation = key, generation
	}
	return d.key, generation
}

// RotateKey has statements signed with the key of the next generation. What was signed before stays good.
func (d *Desk) RotateKey(o Office, c *Change, who api.Caller) (api.SigningKey, error) {
	if err := d.mayChangeKeys(o, "rotate", who); err != nil {
		return api.SigningKey{}, err
	}
	next, err := d.rotate(o, c, orNobody(who.Name))
	if err != nil {
		return api.SigningKey{}, err
	}
	return signingKey(next.ID(), c.Keys()[next.ID()], next.ID()), nil
}

// RevokeKey has nothing count any more that a key has signed, whenever that was. One that signs is rotated before. id may be the beginning of one.
func (d *Desk) RevokeKey(o Office, c *Change, id, why string, who api.Caller) (api.SigningKey, error) {
	if err := d.mayChangeKeys(o, "revoke", who); err != nil {
		return api.SigningKey{}, err
	}
	id, err := d.findKey(id)
	if err != nil {
		return api.SigningKey{}, err
	}
	k := d.records.Ring()[id]
	current, _ := d.signer()
	if k.Revoked {
		return signingKey(id, k, ""), nil
	}
	by := orNobody(who.Name)
	if current != nil && current.ID() == id {
		if _, err := d.rotate(o, c, by); err != nil {
			return api.SigningKey{}, err
		}
		k = c.Keys()[id]
	}
	k.Revoked, k.RevokedAt, k.RevokedBy, k.Why = true, o.Now(), by, why
	c.SetKey(id, k)
	msg := fmt.Sprintf("%s revoked key %.12s: what it has signed does not count any more", by, id)
	if why != "" {
		msg += ": " + why
	}
	o.Tell(semper.Event{At: o.Now(), Kind: "key.revoked", By: by, Message: msg})
	return signingKey(id, k, ""), nil
}

// rotate retires the key that signs and trusts that of the next generation.
func (d *Desk) rotate(o Office, c *Change, by string) (*attest.Key, error) {
	old, generation := d.signer()
	if d.keys == nil {
		return nil, noKey(nil)
	}
	next, err := d.keys(generation + 1)
	if err != nil {
		return nil, noKey(err)
	}
	if old != nil {
		if k, known := c.Keys()[old.ID()]; known && k.Until.IsZero() {
			k.Until = o.Now()
			c.SetKey(old.ID(), k)
		}
	}
	c.SetKey(next.ID(), attest.Trusted{Public: next.Public(), From: o.Now(), Generation: generation + 1})
	o.Tell(semper.Event{At: o.Now(), Kind: "key.rotated", By: by, Message: fmt.Sprintf("%s had statements signed with key %.12s from now on, which is generation %d", by, next.ID(), generation+1)})
	return next, nil
}

func noKey(err error) error {
	return &semper.Error{Code: semper.Internal, Op: "key", Message: "this control process has no key to sign with", Hint: "the file identity in the server's data directory is needed for it: semper doctor", Err: err}
}

// mayChangeKeys refuses who is no admin, on the record.
func (d *Desk) mayChangeKeys(o Office, verb string, who api.Caller) error {
	if who.Role.Includes(api.Admin) {
		return nil
	}
	err := &semper.Error{Code: semper.Forbidden, Op: "key " + verb, Message: orNobody(who.Name) + " is no admin"}
	o.Tell(semper.Event{At: o.Now(), Kind: "key.refused", By: orNobody(who.Name), Message: fmt.Sprintf("key %s refused: %v", verb, err)})
	return err
}

// shortestID is how much of a key's id names it.
const shortestID = 8

func (d *Desk) findKey(id string) (string, error) {
	var found []string
	for known := range d.records.Ring() {
		if len(id) >= shortestID && strings.HasPrefix(known, id) {
			found = append(found, known)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", &semper.Error{Code: semper.Invalid, Op: "key revoke", Message: fmt.Sprintf("several keys begin with %q", id), Hint: "write more of it: semper pipeline key list -o name"}
	}
	return "", &semper.Error{Code: semper.NotFound, Op: "key revoke", Message: fmt.Sprintf("no key begins with %q", id), Hint: fmt.Sprintf("semper pipeline key list shows those there are; %d digits or more name one", shortestID)}
}

// signingKey is a key as the API tells of it. signing is the id of the one that signs.
func signingKey(id string, k attest.Trusted, signing string) api.SigningKey {
	out := api.SigningKey{ID: id, Public: k.Public, Generation: max(k.Generation, 1), State: api.KeyRetired, From: k.From, Until: k.Until, RevokedAt: k.RevokedAt, RevokedBy: k.RevokedBy, Why: k.Why}
	switch {
	case k.Revoked:
		out.State = api.KeyRevoked
	case id == signing:
		out.State = api.KeySigns
	}
	return out
}

// Keys are those whose statements were ever trusted, the newest first.
func (v *View) Keys() []api.SigningKey {
	out := []api.SigningKey{}
	for id, k := range v.records.Ring() {
		out = append(out, signingKey(id, k, v.signing))
	}
	slices.SortFunc(out, func(a, b api.SigningKey) int {
		return cmp.Or(cmp.Compare(b.Generation, a.Generation), b.From.Compare(a.From), strings.Compare(a.ID, b.ID))
	})
	return out
}
