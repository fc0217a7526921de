package control_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/edge/route"
	"semper/experiment/design"
)

// TestAnExperimentIsDecided: started, told to edges, fed by exposures and values, decided with an event, promoted, stopped; and the
// control process is another one half of the time.
func TestAnExperimentIsDecided(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		unfollow := m.follow()
		defer unfollow()
		c, kill := m.run(m.store)
		deploy(t, c, "one")
		plan := design.Plan{
			Name: "checkout", By: "header:X-User", AtLeast: semper.Duration(time.Hour),
			Variants: []design.Variant{{Name: "control", Share: .5}, {Name: "green", Share: .5}},
			Metrics:  []design.Metric{{Name: "order", Kind: design.MetricConversion, Role: design.RolePrimary}},
		}
		if err := c.StartExperiment(t.Context(), "bar", "", plan, false, "ann"); err != nil {
			t.Fatal(err)
		}
		v := variations(t, m)[0]
		time.Sleep(2 * time.Second)
		b := api.MetricBatch{App: "bar"}
		m.mu.Lock()
		for u := range 2000 {
			number, at := v.Place(route.Hash(fmt.Append(nil, "u", u), design.UserSalt))
			m.exposures = append(m.exposures, design.Exposure{Seq: time.Now().UnixNano() + int64(u), Run: v.Run, Variant: at, User: number, At: time.Now()})
			if u%10 == 0 || at == 1 && u%3 == 0 {
				b.Values = append(b.Values, api.MetricValue{ID: fmt.Sprint(u), TargetingKey: fmt.Sprint("u", u), Metric: "order"})
			}
		}
		m.mu.Unlock()
		a, err := c.PushMetrics(t.Context(), b)
		if err != nil || a.Taken != len(b.Values) {
			t.Fatal(a, err)
		}
		kill()
		c, kill = m.run(m.store)
		defer func() { kill() }()
		time.Sleep(10 * time.Second)
		if a, err = c.PushMetrics(t.Context(), b); err != nil || a.Known != len(b.Values) {
			t.Fatal(a, err)
		}
		time.Sleep(time.Hour)
		list, err := c.Experiments(t.Context(), "bar", "")
		if err != nil || len(list) != 1 || list[0].State != design.Decided || list[0].Winner != "green" || list[0].Report == nil {
			t.Fatalf("%+v %v", list, err)
		}
		if err := c.EndExperiment(t.Context(), "bar", "", "checkout", "green", "ann"); err != nil {
			t.Fatal(err)
		}
		if v := variations(t, m)[0]; !v.Quiet || v.Variants[0] != (design.Variant{Name: "green", Share: 1}) {
			t.Errorf("%+v", v)
		}
		if err := c.EndExperiment(t.Context(), "bar", "", "checkout", "", "ann"); err != nil || len(variations(t, m)) != 0 {
			t.Error(err)
		}
	})
}

// tableOf is the stored route table.
func tableOf(t *testing.T, m *machine) (table semper.Table) {
	t.Helper()
	it, err := m.store.Get(t.Context(), "table")
	if err == nil {
		err = json.Unmarshal(it.Value, &table)
	}
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// variations are what edges do for experiments, by the table.
func variations(t *testing.T, m *machine) (all []design.Variation) {
	t.Helper()
	if raw := tableOf(t, m).Pools[0].Variations; raw != nil {
		if err := json.Unmarshal(raw, &all); err != nil {
			t.Fatal(err)
		}
	}
	return all
}
