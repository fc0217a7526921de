package keeper

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"semper"
	"semper/keeper/mark"
	"semper/keeper/wire"
	"semper/unit/process"
)

// execBeside is [Client.Exec].
func (k *keeper) execBeside(ctx context.Context, req wire.ExecRequest) (wire.ExecResponse, error) {
	op := "exec in " + string(req.ID)
	k.mu.Lock()
	m := k.members[string(req.ID)]
	if m == nil || m.rec.Instance == nil || m.cur == nil || m.cur.p == nil {
		k.mu.Unlock()
		return wire.ExecResponse{}, &semper.Error{Code: semper.NotFound, Op: op, Message: "no such instance runs"}
	}
	in := *m.rec.Instance
	k.mu.Unlock()
	o, err := k.besideInstance(in)
	if err != nil {
		return wire.ExecResponse{}, err
	}
	o.Argv = req.Argv
	o.Output = k.dir.Instance(req.ID) + "/exec-" + mark.NewToken() + ".log"
	o.Marker = mark.Mark{Dir: k.held.Marker.ID, Token: "exec-" + mark.NewToken(), Incarnation: 1}.String()
	defer os.Remove(o.Output) //nolint:errcheck // it may not have been made
	p, err := process.Start(o)
	if err != nil {
		return wire.ExecResponse{}, err
	}
	return k.awaitExec(ctx, op, o.Output, p, req.Timeout.D())
}

func (k *keeper) awaitExec(ctx context.Context, op, output string, p *process.Process, timeout time.Duration) (wire.ExecResponse, error) {
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	var late error
	select {
	case <-p.Done():
	case <-limit.C:
		late = &semper.Error{Code: semper.Timeout, Op: op, Message: fmt.Sprintf("it did not end within %v", timeout)}
	case <-ctx.Done():
		late = &semper.Error{Code: semper.Timeout, Op: op, Err: context.Cause(ctx)}
	}
	if late != nil {
		p.Kill()
		<-p.Done()
	}
	lines, _ := process.Tail(output, 1000, 64<<10)
	out := wire.ExecResponse{Output: strings.Join(lines, "\n")}
	switch r := p.Reason(); r.Kind {
	case semper.ReasonNormal:
	case semper.ReasonExit:
		out.Code = r.Code
	default:
		out.Code = 128 + int(unix.SignalNum(r.Signal))
	}
	return out, late
}
