package rollout

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"semper"
	"semper/internal/inbox"
)

// queues are the services whose requests are done later, by the host that clients know them by.
type queues map[string][]semper.PoolKey

func (q queues) add(host string, service semper.PoolKey) {
	if !slices.Contains(q[host], service) {
		q[host] = append(q[host], service)
	}
}

// of are the services that may have accepted a request to host: those of its own routes, and of routes that it falls back to.
func (q queues) of(host string) (all []semper.PoolKey) {
	for _, other := range slices.Sorted(maps.Keys(q)) {
		below, wild := strings.CutPrefix(other, "*")
		if other != host && other != "" && (!wild || !strings.HasSuffix(host, below)) {
			continue
		}
		for _, s := range q[other] {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// routes lead those who ask what became of an accepted request to the queue process. A host tells of those services only that may
// have accepted one for it.
func (q queues) routes() (all []semper.Route) {
	for _, host := range slices.Sorted(maps.Keys(q)) {
		all = append(all, semper.Route{
			Host: host, Path: inbox.Path, Pool: inbox.Pool,
			RouteWords: semper.RouteWords{Policy: queued(nil, q.of(host)...)},
		})
	}
	return all
}

// queued is a route's policy that names, beside what it says, the services of the requests to the queue process. Whatever a
// client or an app has put into that field is replaced.
func queued(policy json.RawMessage, services ...semper.PoolKey) json.RawMessage {
	names := make([]string, len(services))
	for i, s := range services {
		names[i] = string(s)
	}
	return set(policy, strings.Join(names, ","), "headers", "request", "set", inbox.Field)
}

// set is an object of JSON with the member at path being value. What is no object on the way is replaced by one.
func set(object json.RawMessage, value string, path ...string) json.RawMessage {
	if len(path) == 0 {
		return encode(value)
	}
	members := map[string]json.RawMessage{}
	if json.Unmarshal(object, &members) != nil || members == nil {
		members = map[string]json.RawMessage{}
	}
	members[path[0]] = set(members[path[0]], value, path[1:]...)
	return encode(members)
}

// encode is v as JSON, which for text and objects of JSON does not fail.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}
