package cloudfoundry_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/cloudfoundry"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/cfstub"
)

// TestRolesNotServed: version 2 counts where /v3/roles is no path, however that
// is said, and not where it only fails.
func TestRolesNotServed(t *testing.T) {
	for status, fallback := range map[int]bool{
		http.StatusNotFound: true, http.StatusMethodNotAllowed: true, http.StatusGone: true, http.StatusTeapot: true, http.StatusNotImplemented: true,
		http.StatusForbidden: false, http.StatusUnprocessableEntity: false, http.StatusInternalServerError: false, http.StatusBadGateway: false,
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			cf := platform(t)
			real, err := url.Parse(cf.CC.URL)
			if err != nil {
				t.Fatal(err)
			}
			pass := httputil.NewSingleHostReverseProxy(real)
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v3/roles" {
					w.WriteHeader(status)
					return
				}
				pass.ServeHTTP(w, r)
			}))
			t.Cleanup(front.Close)
			uaa, err := cloudfoundry.NewUAA(cloudfoundry.UAAConfig{
				URL: cf.UAA.URL, ClientID: cfstub.ClientID, ClientSecret: cfstub.ClientSecret, Log: quiet,
			})
			if err != nil {
				t.Fatal(err)
			}
			cc, err := cloudfoundry.NewCloudController(front.URL, "", uaa)
			if err != nil {
				t.Fatal(err)
			}
			mine, stolen := cc.MayWrite(t.Context(), alice, []flows.AppID{"front"}), cc.MayWrite(t.Context(), alice, []flows.AppID{"ledger"})
			switch {
			case fallback && (mine != nil || api.KindOf(stolen) != api.ErrForbidden):
				t.Errorf("my app: %v; another's: %v", mine, stolen)
			case !fallback && (api.KindOf(mine) != api.ErrUnavailable || api.KindOf(stolen) != api.ErrUnavailable):
				t.Errorf("my app: %v; another's: %v; want unavailable", mine, stolen)
			}
		})
	}
}
