package keeper

import (
	"context"

	"semper/internal/handoff"
	"semper/internal/steer"
	"semper/keeper/journal"
	"semper/keeper/sockets"
)

// openHTTP3 adds the UDP side of the addresses for HTTPS to the sockets, if it is wanted. What of have is of no use is closed.
func (k *keeper) openHTTP3(ctx context.Context, have []handoff.Socket) error {
	var at []string
	if k.o.HTTP3 {
		for _, s := range k.sockets {
			if s.Name == "https" {
				at = append(at, s.Addr())
			}
		}
	}
	udp, err := sockets.OpenGroups(ctx, at, have)
	k.sockets = append(k.sockets, udp...)
	return err
}

// slotLocked is the slot of the edge of that number in the groups of UDP sockets, which no other edge that is known has.
func (k *keeper) slotLocked(number int) int {
	var taken []int
	for _, m := range k.members {
		if p := m.rec.Part; p != nil && p.Kind == kindEdge {
			taken = append(taken, p.Slot)
		}
	}
	return steer.Free(number, taken)
}

// leadLocked has new connections of HTTP/3 go to the newest edge that is ready and does not drain. Where there is none they
// wait for whom they went to. The kernel keeps what it was told when this keeper ends.
func (k *keeper) leadLocked() {
	var newest *member
	for _, m := range k.members {
		p := m.rec.Part
		if p == nil || p.Kind != kindEdge || p.Draining || m.rec.Desired == journal.Stop || !m.rec.Notified {
			continue
		}
		if newest == nil || older(newest.rec.Name, m.rec.Name) < 0 {
			newest = m
		}
	}
	if newest == nil {
		return
	}
	_, udp := sockets.Apart(k.sockets)
	groups, _ := steer.Grouped(sockets.HTTP3, udp)
	for address, group := range groups {
		if err := steer.Lead(group, newest.rec.Part.Slot); err != nil {
			k.log.Error("new connections of HTTP/3 get no answer", "address", address, "edge", newest.rec.Name, "error", err)
		}
	}
}

// lead is leadLocked for who does not hold mu.
func (k *keeper) lead() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.leadLocked()
}
