package delivery

import (
	"context"

	"semper/api"
	"semper/pipeline/course"
)

// A Surface is the part of the API that is the desk's alone. It is safe for concurrent use if its functions are.
type Surface struct {
	// Do has the desk of whoever leads do f, and stores what comes of it.
	Do func(ctx context.Context, op string, f func(*Desk, Office, *Change, api.Caller) error) error
	// See is the present view; it waits for the first one.
	See func(ctx context.Context, op string) (*View, error)
}

func (s Surface) onRun(ctx context.Context, verb Verb, app, run, why string) (out course.Run, err error) {
	err = s.Do(ctx, string(verb), func(d *Desk, o Office, c *Change, who api.Caller) (err error) {
		out, err = d.Command(o, c, verb, app, run, why, who)
		return err
	})
	return out, err
}

// Approve implements api.Delivery.
func (s Surface) Approve(ctx context.Context, app, run, why string) (course.Run, error) {
	return s.onRun(ctx, Approve, app, run, why)
}

// Reject implements api.Delivery.
func (s Surface) Reject(ctx context.Context, app, run, why string) (course.Run, error) {
	return s.onRun(ctx, Reject, app, run, why)
}

// Rerun implements api.Delivery.
func (s Surface) Rerun(ctx context.Context, app, run string) (course.Run, error) {
	return s.onRun(ctx, Rerun, app, run, "")
}

// SetLine implements api.Delivery.
func (s Surface) SetLine(ctx context.Context, app string, stopped bool, why string) (out course.Line, err error) {
	err = s.Do(ctx, "line", func(d *Desk, o Office, c *Change, who api.Caller) error {
		out = d.SetLine(o, c, app, stopped, why, who.Name)
		return nil
	})
	return out, err
}

// SigningKeys implements api.Delivery.
func (s Surface) SigningKeys(ctx context.Context) ([]api.SigningKey, error) {
	v, err := s.See(ctx, "keys")
	if err != nil {
		return nil, err
	}
	return v.Keys(), nil
}

// RotateKey implements api.Delivery.
func (s Surface) RotateKey(ctx context.Context) (out api.SigningKey, err error) {
	err = s.Do(ctx, "key rotate", func(d *Desk, o Office, c *Change, who api.Caller) (err error) {
		out, err = d.RotateKey(o, c, who)
		return err
	})
	return out, err
}

// RevokeKey implements api.Delivery.
func (s Surface) RevokeKey(ctx context.Context, id, why string) (out api.SigningKey, err error) {
	err = s.Do(ctx, "key revoke", func(d *Desk, o Office, c *Change, who api.Caller) (err error) {
		out, err = d.RevokeKey(o, c, id, why, who)
		return err
	})
	return out, err
}

// AddUser implements api.Delivery.
func (s Surface) AddUser(ctx context.Context, u api.User) (string, error) {
	token := ""
	err := s.Do(ctx, "user add", func(d *Desk, o Office, c *Change, who api.Caller) (err error) {
		token, err = d.AddUser(o, c, u, who)
		return err
	})
	if err != nil {
		return "", err // a token that is not stored is none
	}
	return token, nil
}

// RemoveUser implements api.Delivery.
func (s Surface) RemoveUser(ctx context.Context, name string) error {
	return s.Do(ctx, "user remove", func(d *Desk, o Office, c *Change, who api.Caller) error {
		return d.RemoveUser(o, c, name, who)
	})
}

// Users implements api.Delivery.
func (s Surface) Users(ctx context.Context) ([]api.User, error) {
	v, err := s.See(ctx, "users")
	if err != nil {
		return nil, err
	}
	return v.Users(), nil
}
