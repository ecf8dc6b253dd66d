package cloudfoundry_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/cloudfoundry"
	"github.com/weft-sdn/weft/testbed/cfstub"
	"github.com/weft-sdn/weft/testbed/logbook"
)

// debugLog writes everything.
func debugLog(to *logbook.Logbook) *slog.Logger {
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// connect returns clients of both stand-ins.
func connect(t testing.TB, cf *cfstub.Stub, log *slog.Logger, caFile string) (*cloudfoundry.UAA, *cloudfoundry.CloudController) {
	t.Helper()
	uaa, err := cloudfoundry.NewUAA(cloudfoundry.UAAConfig{
		URL: cf.UAA.URL, ClientID: cfstub.ClientID, ClientSecret: cfstub.ClientSecret, CAFile: caFile, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	cc, err := cloudfoundry.NewCloudController(cf.CC.URL+"/", caFile, uaa)
	if err != nil {
		t.Fatal(err)
	}
	return uaa, cc
}

// request shows a header.
func request(t testing.TB, header string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/networking/v1/external/policies", nil)
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	return r
}

// mustRefuse expects the contract's error, with a reason that holds why and
// nothing of the header.
func mustRefuse(t testing.TB, auth api.Authenticator, header, why string) {
	t.Helper()
	caller, err := auth.Authenticate(request(t, header))
	var refusal *api.Error
	if !errors.As(err, &refusal) || refusal.Kind != api.ErrUnauthorized || refusal.Text != "failed to verify token with uaa" {
		t.Errorf("%.40q: %+v, %v; want the contract's 401", header, caller, err)
		return
	}
	if !strings.Contains(refusal.Detail, why) {
		t.Errorf("%.40q: refused because %q, want %q", header, refusal.Detail, why)
	}
}
