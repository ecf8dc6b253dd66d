package cloudfoundry

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestDroppedKeyAfterAQuietNight: a key that the UAA has dropped does not work
// because nobody had asked for it meanwhile; without the UAA the known keys do,
// and only the first token waits.
func TestDroppedKeyAfterAQuietNight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, down, asked := map[string]publicKey{"old": {key: "k"}}, false, 0
		ring := newKeyRing(func(ctx context.Context) (*published, error) {
			asked++
			if down {
				<-ctx.Done() // it hangs
				return nil, ctx.Err()
			}
			return &published{keys: keys, fetched: time.Now()}, nil
		})
		find := func() (time.Duration, error) {
			ctx, cancel := context.WithTimeout(t.Context(), maxKeyWait)
			defer cancel()
			begin := time.Now()
			_, _, err := ring.find(ctx, &jwt.Token{Header: map[string]any{"kid": "old"}})
			return time.Since(begin), err
		}
		if _, err := find(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * time.Hour)
		down = true
		for i := range 3 {
			if took, err := find(); err != nil || i > 0 && took > 0 || took > maxKeyWait {
				t.Errorf("without the UAA, token %d: %v after %v", i, err, took)
			}
			time.Sleep(time.Minute)
		}
		keys, down = map[string]publicKey{"new": {key: "k"}}, false
		time.Sleep(8 * time.Hour)
		if _, err := find(); !errors.Is(err, errUnknownKey) {
			t.Errorf("a key that was dropped: %v", err)
		}
		synctest.Wait()
	})
}
