package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/weft-sdn/weft/flows"
)

// Handlers of the internal API: decode, call, encode. VTEPs and endpoints are
// the controller's to judge: it refuses a bad endpoint alone, and serves the others.

func (s *internal) lease(c echo.Context) error {
	var want LeaseRequest
	if err := decodeJSON(c.Request().Body, &want); err != nil {
		return err
	}
	lease, err := s.Agents.Lease(c.Request().Context(), cellOf(c), want)
	if err != nil {
		return err
	}
	return answer(c, lease)
}

func (s *internal) endpoints(c echo.Context) error {
	var report EndpointsReport
	if err := decodeJSON(c.Request().Body, &report); err != nil {
		return err
	}
	if report.Stream == "" {
		return Invalid("stream: missing: give the id from the snapshot")
	}
	if err := s.Agents.Report(c.Request().Context(), cellOf(c), report); err != nil {
		return err
	}
	return answer(c, struct{}{})
}

func (s *internal) applied(c echo.Context) error {
	var ack Applied
	if err := decodeJSON(c.Request().Body, &ack); err != nil {
		return err
	}
	if ack.Stream == "" {
		return Invalid("stream: missing: give the id from the snapshot")
	}
	if err := s.Agents.Acknowledge(c.Request().Context(), cellOf(c), ack); err != nil {
		return err
	}
	return answer(c, struct{}{})
}

// groups answers for the ids of ?id=101,102 that there are.
func (s *internal) groups(c echo.Context) error {
	var ids []flows.GroupID
	for word := range strings.SplitSeq(c.QueryParam("id"), ",") {
		id, err := strconv.ParseUint(word, 10, 16)
		switch {
		case err != nil || id == 0:
			return Invalid("id: %.40q: want group ids, 1 to 65535, with commas between them", word)
		case len(ids) == maxGroupNames:
			return Invalid("id: more than %d group ids: ask in several requests", maxGroupNames)
		}
		ids = append(ids, flows.GroupID(id))
	}
	list, err := s.Names.GroupNames(c.Request().Context(), ids)
	if err != nil {
		return err
	}
	return answer(c, GroupsList{notNil(list)})
}

func (s *internal) stream(c echo.Context) error {
	var hello Hello
	if err := decodeJSON(c.Request().Body, &hello); err != nil {
		return err
	}
	stream, err := s.Agents.Open(c.Request().Context(), cellOf(c), hello)
	if err != nil {
		return err
	}
	defer stream.Close()
	w := &lineWriter{out: newMessageWriter(c.Response()), control: http.NewResponseController(c.Response())}
	if err := w.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("setting deadlines: %w", err)
	}
	c.Response().Header().Set(echo.HeaderContentType, ndjsonType)
	c.Response().WriteHeader(http.StatusOK)
	return pump(c.Request().Context(), stream, w)
}

// pump writes the stream's messages, and pings between them, until the stream
// or ctx ends or the agent does not read.
func pump(ctx context.Context, stream Stream, w *lineWriter) error {
	ctx, cancel := context.WithCancel(ctx)
	messages := make(chan Message)
	ended := make(chan error, 1)
	go func() {
		defer close(messages)
		for {
			m, err := stream.Next(ctx)
			if err != nil {
				ended <- err
				return
			}
			select {
			case messages <- m:
			case <-ctx.Done():
				ended <- ctx.Err()
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range messages { // the goroutine ends before the stream is closed
		}
	}()
	ping := time.NewTicker(pingInterval)
	defer ping.Stop()
	if err := w.write(Message{Type: TypePing}); err != nil { // the agent sees at once that it was accepted
		return err
	}
	for {
		select {
		case m, more := <-messages:
			if !more {
				return <-ended
			}
			if err := w.write(m); err != nil {
				return err
			}
		case <-ping.C:
			if err := w.write(Message{Type: TypePing}); err != nil {
				return err
			}
		}
	}
}

// lineWriter writes messages, one line each, and flushes each.
type lineWriter struct {
	out     *messageWriter
	control *http.ResponseController
}

func (w *lineWriter) write(m Message) error {
	if err := w.control.SetWriteDeadline(time.Now().Add(ioTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("setting deadlines: %w", err)
	}
	w.out.message(m)
	w.out.WriteByte('\n')
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("writing to the agent: %w", err)
	}
	return wrap("writing to the agent", w.control.Flush())
}

// decodeJSON decodes a request's body. Unknown fields are tolerated: a newer
// agent may say more.
func decodeJSON(body io.Reader, into any) error {
	raw, err := io.ReadAll(body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return Invalid("request body: more than %d bytes", tooLarge.Limit)
	case err != nil:
		return Invalid("reading the request body: %w", err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return Invalid("request body: %w", err)
	}
	return nil
}
