package asgsync

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/weft-sdn/weft/api"
)

const (
	// pollInterval is between two questions whether something has changed. It is
	// more than the second to which Cloud Controller tells when that was.
	pollInterval = 2 * time.Second
	// readShare bounds how much of Cloud Controller's time we take if it does not
	// tell: after reading all groups we leave it alone for so many times as long.
	// With 6,000 of them that takes it seconds.
	readShare = 20
	// maxInterval is the longest that this may be.
	maxInterval = time.Minute
	// rereadInterval is after how long all groups are read though nothing is said
	// to have changed: changes by the old version 2 of Cloud Controller's API are
	// not told of.
	rereadInterval = 10 * time.Minute
	// readTimeout bounds reading all groups, all attempts together.
	readTimeout = 5 * time.Minute
	// attempts is how often they are read anew because they changed meanwhile.
	attempts = 3
	// caller is who changes the groups, in the change log.
	caller = "cloud controller"
)

// Source is Cloud Controller.
type Source interface {
	// LatestSecurityGroupUpdate returns a text that differs for changes in
	// different seconds. "": it does not say.
	LatestSecurityGroupUpdate(ctx context.Context) (string, error)
	// SecurityGroups returns all that there are.
	SecurityGroups(ctx context.Context) ([]api.SecurityGroup, error)
}

// Sink is where they go: the controller.
type Sink interface {
	SetSecurityGroups(ctx context.Context, groups []api.SecurityGroup, by string) error
}

// Syncer copies security groups from Source to Sink. Several replicas may do so
// at once: each sets the same.
type Syncer struct {
	Source Source
	Sink   Sink
	Log    *slog.Logger

	latest  string    // what Source said before the groups in Sink were read
	settled bool      // they were read again since: nothing of the same second is missing
	read    time.Time // when that was
	failing bool      // the last look failed, which was logged
}

// Run copies until ctx ends. What fails is tried again at the next look.
func (s *Syncer) Run(ctx context.Context) {
	for ctx.Err() == nil {
		pause, err := s.look(ctx)
		s.report(ctx, err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// report logs the first of several failures, and that they are over.
func (s *Syncer) report(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil && !s.failing:
		s.Log.Error("reading security groups: keeping those that are known, and trying again", "error", err)
	case err == nil && s.failing:
		s.Log.Info("reading security groups works again")
	}
	s.failing = err != nil
}

// look reads the groups if they may have changed, and returns how long to wait
// before the next look.
func (s *Syncer) look(ctx context.Context) (pause time.Duration, err error) {
	latest, err := s.Source.LatestSecurityGroupUpdate(ctx)
	if err != nil {
		return pollInterval, err
	}
	again := latest != "" && latest == s.latest
	if again && s.settled && time.Since(s.read) < rereadInterval {
		return pollInterval, nil
	}
	begin := time.Now()
	latest, err = s.copy(ctx, latest)
	if latest == "" {
		pause = min(readShare*time.Since(begin), maxInterval)
	}
	if err == nil {
		// Another change in the second of the one that we have read would have
		// the same time. So we read once more, when that second is over.
		s.settled, s.latest, s.read = again && latest == s.latest, latest, begin
	}
	return max(pause, pollInterval), err
}

// copy reads all groups and gives them to Sink. It returns the latest update
// that they hold.
func (s *Syncer) copy(ctx context.Context, before string) (latest string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for range attempts {
		groups, err := s.Source.SecurityGroups(ctx)
		if err != nil {
			return before, err
		}
		after, err := s.Source.LatestSecurityGroupUpdate(ctx)
		if err != nil {
			return before, err
		}
		if after == before {
			return after, s.Sink.SetSecurityGroups(ctx, groups, caller)
		}
		before = after
	}
	return before, fmt.Errorf("they changed each of the %d times that they were read", attempts)
}
