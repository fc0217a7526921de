package sockets

import (
	"context"
	"slices"
	"strings"

	"semper/internal/handoff"
	"semper/internal/steer"
)

// HTTP3 is what the names of UDP sockets begin with; a slash and the slot follow.
const HTTP3 = "http3"

// OpenGroups is a group of UDP sockets (see package steer) at the address of each of https, in their order: one of have where
// there is a whole one, else newly bound. What of have is of no use is closed. On an error everything is closed.
func OpenGroups(ctx context.Context, https []string, have []handoff.Socket) ([]handoff.Socket, error) {
	groups, spare := steer.Grouped(HTTP3, have)
	handoff.Close(spare)
	for address, group := range groups {
		if !slices.Contains(https, address) {
			handoff.Close(group)
		}
	}
	var all []handoff.Socket
	for i, address := range https {
		group := groups[address]
		if group == nil {
			bound, err := steer.Bind(ctx, address)
			if err != nil {
				handoff.Close(all)
				for _, after := range https[i:] {
					handoff.Close(groups[after])
				}
				return nil, Want{Name: "https", Network: "udp", Addr: address}.refused(err)
			}
			group = steer.Named(HTTP3, bound)
		}
		all = append(all, group...)
	}
	return all, nil
}

// Apart splits sockets into those that accept connections and those of UDP.
func Apart(sockets []handoff.Socket) (listeners, udp []handoff.Socket) {
	for _, s := range sockets {
		if strings.HasPrefix(s.Name, HTTP3+"/") {
			udp = append(udp, s)
		} else {
			listeners = append(listeners, s)
		}
	}
	return listeners, udp
}
