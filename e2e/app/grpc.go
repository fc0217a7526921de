package main

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// speakGRPC serves gRPC's own health service, which knows one name: HTTP/2 without TLS and nothing else. The end of ctx ends
// it when the calls under way have ended.
func speakGRPC(ctx context.Context, l net.Listener) {
	s := grpc.NewServer()
	h := health.NewServer()
	h.SetServingStatus("orders", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(s, h)
	defer context.AfterFunc(ctx, s.GracefulStop)()
	if err := s.Serve(l); err != nil {
		fmt.Println(err)
	}
}
