package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/controller/asgsync"
	"github.com/weft-sdn/weft/controller/gormstore"
	"github.com/weft-sdn/weft/debug"
)

// Server is a controller that listens.
type Server struct {
	External net.Addr // where the external API listens
	Internal net.Addr // where agents connect
	Debug    net.Addr // where package debug answers; nil: nowhere
	Token    string   // of the external API in mode token; else ""

	control *controller.Controller
	stop    context.CancelFunc
	done    chan struct{}
	err     error // valid once done is closed
}

// Run serves until ctx ends, then lets requests finish and returns nil.
func Run(ctx context.Context, config Config, log *slog.Logger) error {
	s, err := Start(ctx, config, log)
	if err != nil {
		return err
	}
	return s.Wait()
}

// parts are what a server closes when it ends, or when it cannot start.
type parts struct {
	store                     *gormstore.Store
	external, internal, debug net.Listener // debug: nil for none
}

func (p *parts) close() error {
	var errs []error
	for _, l := range []net.Listener{p.external, p.internal, p.debug} {
		if l != nil {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	return errors.Join(errs...)
}

// Start opens the database, binds both listeners and serves until ctx ends.
// When it returns without an error, both listeners answer.
func Start(ctx context.Context, config Config, log *slog.Logger) (*Server, error) {
	overlay, err := config.overlay()
	if err != nil {
		return nil, fmt.Errorf("configuration:\n%w", err)
	}
	guards, err := config.guards(log)
	if err != nil {
		return nil, err
	}
	var p parts
	s := &Server{Token: guards.token, done: make(chan struct{})}
	if err := s.open(ctx, &p, config, overlay, log); err != nil {
		return nil, errors.Join(err, p.close())
	}
	ctx, s.stop = context.WithCancel(ctx)
	go func() {
		s.err = errors.Join(s.serve(ctx, &p, config, guards, log), p.close())
		log.Info("stopped", "error", s.err)
		close(s.done)
	}()
	log.Info("ready", "listen", s.External.String(), "internal_listen", s.Internal.String())
	return s, nil
}

func (s *Server) open(ctx context.Context, p *parts, config Config, overlay controller.Overlay, log *slog.Logger) error {
	var err error
	p.store, err = gormstore.Open(ctx, config.Database, gormstore.Options{
		Networks: overlay.Networks, SubnetPrefix: overlay.SubnetPrefix, MaxGroup: config.MaxGroup(), Quarantine: overlay.Quarantine, Log: log,
	})
	if err != nil {
		return err
	}
	if s.control, err = controller.New(ctx, p.store, overlay, log); err != nil {
		return err
	}
	if p.external, err = net.Listen("tcp", config.Listen); err != nil {
		return fmt.Errorf("listen %s: %w", config.Listen, err)
	}
	if p.internal, err = net.Listen("tcp", config.InternalListen); err != nil {
		return fmt.Errorf("internal_listen %s: %w", config.InternalListen, err)
	}
	s.External, s.Internal = p.external.Addr(), p.internal.Addr()
	if config.DebugListen == "" {
		return nil
	}
	if p.debug, err = debug.Listen(config.DebugListen); err != nil {
		return fmt.Errorf("debug_listen %s: %w", config.DebugListen, err)
	}
	s.Debug = p.debug.Addr()
	log.Info("debug", "listen", s.Debug.String())
	return nil
}

// serve runs the state machine and both listeners until ctx ends. Streams end
// first, then requests finish, and the state machine stops last.
func (s *Server) serve(ctx context.Context, p *parts, config Config, guards guards, log *slog.Logger) error {
	loopCtx, stopLoop := context.WithCancel(context.WithoutCancel(ctx))
	loop := make(chan error, 1)
	go func() { loop <- s.control.Run(loopCtx) }()

	listeners, ctx := errgroup.WithContext(ctx)
	listeners.Go(func() error {
		return api.Server{Handler: s.externalHandler(config, guards, log), TLS: guards.externalTLS, Log: log}.Serve(ctx, p.external)
	})
	listeners.Go(func() error {
		handler := api.NewInternal(api.Internal{
			Agents: s.control, Names: s.control, Log: log,
			Policies: s.control, Identities: s.control, TagDigits: 2 * config.TagLength,
		})
		return api.Server{Handler: handler, TLS: guards.internalTLS, Log: log}.Serve(ctx, p.internal)
	})
	if p.debug != nil {
		listeners.Go(func() error { return debug.Serve(ctx, p.debug) })
	}
	if guards.cloud != nil {
		listeners.Go(func() error {
			(&asgsync.Syncer{Source: guards.cloud, Sink: s.control, Log: log}).Run(ctx)
			return nil
		})
	}
	if guards.cloud != nil && config.CleanupInterval > 0 {
		listeners.Go(func() error {
			s.control.CleanUpEvery(ctx, guards.cloud, config.CleanupInterval)
			return nil
		})
	}
	listeners.Go(func() error {
		<-ctx.Done()
		return s.control.Drain(loopCtx)
	})
	err := listeners.Wait()
	stopLoop()
	return errors.Join(err, <-loop)
}

func (s *Server) externalHandler(config Config, guards guards, log *slog.Logger) http.Handler {
	return api.NewExternal(api.External{
		Policies: s.control, Fleet: s.control, Sets: s.control, Audits: s.control, Watch: s.control, Cells: s.control, Log: log, Started: time.Now(),
		Auth: guards.auth, Access: guards.access(),
		CORS:         config.AllowedCORSDomains,
		MaxPerSource: config.MaxPoliciesPerAppSource,
		SelfService:  config.EnableSpaceDeveloperSelfService,
		TagDigits:    2 * config.TagLength,
	})
}

// Stop ends the server and waits for it.
func (s *Server) Stop() error {
	s.stop()
	return s.Wait()
}

// Wait returns when the server has ended, with the reason unless it was asked to.
func (s *Server) Wait() error {
	<-s.done
	return s.err
}
