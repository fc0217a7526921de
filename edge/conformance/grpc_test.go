package conformance_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

// grpcCases are those of gRPC's interoperability tests that need no account of a cloud and no xDS. A client that is not content ends
// its process, so each has one of its own.
var grpcCases = map[string]func(context.Context, *grpc.ClientConn, testgrpc.TestServiceClient){
	"empty_unary":                 plainCase(interop.DoEmptyUnaryCall),
	"large_unary":                 plainCase(interop.DoLargeUnaryCall),
	"client_streaming":            plainCase(interop.DoClientStreaming),
	"server_streaming":            plainCase(interop.DoServerStreaming),
	"ping_pong":                   plainCase(interop.DoPingPong),
	"empty_stream":                plainCase(interop.DoEmptyStream),
	"timeout_on_sleeping_server":  plainCase(interop.DoTimeoutOnSleepingServer),
	"cancel_after_begin":          plainCase(interop.DoCancelAfterBegin),
	"cancel_after_first_response": plainCase(interop.DoCancelAfterFirstResponse),
	"custom_metadata":             plainCase(interop.DoCustomMetadata),
	"status_code_and_message":     plainCase(interop.DoStatusCodeAndMessage),
	"special_status_message":      plainCase(interop.DoSpecialStatusMessage),
	"unimplemented_method": func(ctx context.Context, conn *grpc.ClientConn, _ testgrpc.TestServiceClient) {
		interop.DoUnimplementedMethod(ctx, conn)
	},
	"unimplemented_service": func(ctx context.Context, conn *grpc.ClientConn, _ testgrpc.TestServiceClient) {
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(conn))
	},
}

func plainCase(f func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption)) func(context.Context, *grpc.ClientConn, testgrpc.TestServiceClient) {
	return func(ctx context.Context, _ *grpc.ClientConn, c testgrpc.TestServiceClient) { f(ctx, c) }
}

// TestGRPCInterop runs the cases through the edge, and for comparison without it: what fails there is not the edge's.
func TestGRPCInterop(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(s, interop.NewTestServer())
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	edge := edgeBeforeHTTP2(t, l.Addr().String())
	for name := range grpcCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, err := interopProcess(t, name, "plain "+l.Addr().String()); err != nil {
				t.Fatalf("without the edge: %v\n%s", err, out)
			}
			if out, err := interopProcess(t, name, "tls "+edge); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// interopProcess runs one case in a process of its own.
func interopProcess(t *testing.T, name, where string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "CONFORMANCE_GRPC="+name+" "+where)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// grpcProcess is the child: the case and where, as in "empty_unary tls 127.0.0.1:1".
func grpcProcess(what string) {
	f := strings.Fields(what)
	name, addr, c := f[0], f[2], insecure.NewCredentials()
	if f[1] == "tls" {
		c = credentials.NewTLS(&tls.Config{ServerName: hostA, InsecureSkipVerify: true})
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(c), grpc.WithAuthority(hostA))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // a hang ends; a busy machine needs longer than 10 s
	defer cancel()
	grpcCases[name](ctx, conn, testgrpc.NewTestServiceClient(conn))
}
