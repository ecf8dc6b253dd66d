package api

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	jsonType   = "application/json"
	ndjsonType = "application/x-ndjson"

	// kindHeader and detailHeader tell our own clients what the contract's
	// statuses and texts cannot.
	kindHeader   = "Weft-Error-Kind"
	detailHeader = "Weft-Error-Detail"
	// revisionHeader numbers a write in the change log.
	revisionHeader = "Weft-Revision"

	// maxBodyBytes bounds the body of a request to the external API, as the
	// contract says.
	maxBodyBytes = 10 << 20
	// maxAgentBodyBytes bounds the body of a request to the internal API: all
	// endpoints of a cell, each with egress rules of up to flows.MaxEgressText.
	maxAgentBodyBytes = 64 << 20

	// ioTimeout bounds reading a request and writing its answer. Waits and
	// streams set deadlines of their own.
	ioTimeout = 60 * time.Second

	// shutdownGrace is how long requests may go on after the end was called.
	shutdownGrace = 5 * time.Second
)

// Server serves one of the two handlers with limits on time and size.
type Server struct {
	Handler http.Handler
	TLS     *tls.Config // nil for plain HTTP
	Log     *slog.Logger
}

// Serve answers requests on listener until ctx ends; it closes listener. Waits
// and streams end with ctx, other requests get 5 s to finish.
func (s Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s.Handler,
		TLSConfig:         s.TLS,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       ioTimeout,
		WriteTimeout:      ioTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelInfo), // failed handshakes, above all
		// Who has gone without a word is noticed within silenceLimit, by either side.
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingInterval, PingTimeout: silenceLimit - pingInterval},
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close() // what did not finish in time is cut
		}
	})
	err := serveOn(server, listener)
	if stop() { // ctx has not ended: the listener broke
		return fmt.Errorf("serving %s: %w", listener.Addr(), err)
	}
	<-stopped
	return nil
}

func serveOn(server *http.Server, listener net.Listener) error {
	if server.TLSConfig == nil {
		return server.Serve(listener)
	}
	return server.ServeTLS(listener, "", "")
}

// newEcho returns a router with our error texts, limits and request log.
// A request's body may have at most so many bytes.
func newEcho(log *slog.Logger, bytes int64) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Logger.SetOutput(nopWriter{})
	e.HTTPErrorHandler = writeError
	e.Use(logRequests(log), limitBody(bytes))
	return e
}

// nopWriter swallows echo's own log; ours is slog.
type nopWriter struct{}

func (nopWriter) Write(p []byte) (int, error) { return len(p), nil }

// limitBody makes reading more than so many bytes fail.
func limitBody(bytes int64) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			r.Body = http.MaxBytesReader(c.Response().Writer, r.Body, bytes)
			return next(c)
		}
	}
}

// writeError renders an error that a handler returned, in Cloud Foundry's
// shape; for wrong paths and methods as plain text, as the contract says.
func writeError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	var route *echo.HTTPError
	if errors.As(err, &route) {
		text := http.StatusText(route.Code)
		if route.Code == http.StatusNotFound {
			text = "404 page not found"
		}
		http.Error(c.Response(), text, route.Code)
		return
	}
	kind, status, text, detail := describe(err)
	header := c.Response().Header()
	header.Set(kindHeader, string(kind))
	if detail != "" {
		header.Set(detailHeader, headerText(detail))
	}
	if status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer")
	}
	_ = c.Blob(status, jsonType, []byte(`{"error": `+encode(text)+`}`)) // fails only if the caller is gone
}

// describe says what the caller is told of an error. One that has no kind may
// contain anything, so it goes to the log only.
func describe(err error) (kind Kind, status int, text, detail string) {
	var e *Error
	if !errors.As(err, &e) {
		return ErrInternal, http.StatusInternalServerError, "internal error: see the controller's log", ""
	}
	if e.status != 0 || e.Detail != "" { // the contract fixes the text
		return e.Kind, cmp.Or(e.status, statusOf(e.Kind)), e.Text, e.Detail
	}
	return e.Kind, statusOf(e.Kind), err.Error(), ""
}

// headerText makes a text fit for a header's value.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// encode renders a value as JSON without HTML escapes and without a final newline.
func encode(value any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		panic(fmt.Sprintf("api: encoding %T: %v", value, err)) // wire types always encode
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// answer writes a value as JSON with status 200.
func answer(c echo.Context, value any) error {
	return c.Blob(http.StatusOK, jsonType, []byte(encode(value)))
}
