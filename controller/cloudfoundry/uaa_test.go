package cloudfoundry_test

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/cloudfoundry"
	"github.com/weft-sdn/weft/testbed/cfstub"
)

var quiet = slog.New(slog.DiscardHandler)

// both are the two ways to verify a token; they must agree.
func both(uaa *cloudfoundry.UAA) map[string]api.Authenticator {
	return map[string]api.Authenticator{"check_token": uaa, "jwt": cloudfoundry.NewJWT(uaa)}
}

// TestCallers: who a token says its holder is, in all spellings of the header.
func TestCallers(t *testing.T) {
	cf := cfstub.New(t)
	uaa, _ := connect(t, cf, quiet, "")
	alice := cf.Mint(cfstub.User("alice", "network.write", "openid"))
	robot := cf.Mint(cfstub.Client("deployer", "network.admin"))
	for name, auth := range both(uaa) {
		for header, want := range map[string]api.Caller{
			"Bearer " + alice: {Name: "alice", Subject: "alice-guid", Scopes: []string{"network.write", "openid"}},
			"bearer " + alice: {Name: "alice", Subject: "alice-guid", Scopes: []string{"network.write", "openid"}},
			robot:             {Name: "deployer", Subject: "deployer", Scopes: []string{"network.admin"}},
		} {
			got, err := auth.Authenticate(request(t, header))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
			}
		}
		if _, err := auth.Authenticate(request(t, "")); err == nil || err.Error() != "missing authorization header" {
			t.Errorf("%s: without a header: %v", name, err)
		}
		for _, header := range []string{"Bearer ", "bearer", "x", "Basic YTpi", "Bearer " + alice[:len(alice)-4], "Bearer Bearer " + alice, alice + "." + alice} {
			mustRefuse(t, auth, header, "")
		}
		mustRefuse(t, auth, cf.Mint(cfstub.Claims{Scopes: []string{"network.admin"}}), "whose it is")
		mustRefuse(t, auth, cf.Mint(cfstub.Claims{UserName: "late", UserID: "late", ExpiresAt: time.Now().Add(-time.Hour)}), "")
	}
}

// TestRevokedToken: check_token notices at once, and asks each time.
func TestRevokedToken(t *testing.T) {
	cf := cfstub.New(t)
	uaa, _ := connect(t, cf, quiet, "")
	token := cf.Mint(cfstub.User("alice"))
	if _, err := uaa.Authenticate(request(t, token)); err != nil {
		t.Fatal(err)
	}
	cf.Forget(token)
	mustRefuse(t, uaa, token, "not valid")
	if n := cf.UAA.Calls("/uaa/check_token"); n != 2 {
		t.Errorf("%d calls, want one per request", n)
	}
}

// TestUAADown: whatever is wrong with the UAA, nobody gets in, and everybody
// does when it is back.
func TestUAADown(t *testing.T) {
	cf := cfstub.New(t)
	uaa, _ := connect(t, cf, quiet, "")
	auth := both(uaa)
	token := cf.Mint(cfstub.User("alice"))
	for _, status := range []int{http.StatusInternalServerError, http.StatusNotFound, http.StatusFound, http.StatusUnauthorized} {
		cf.UAA.Fail(status)
		for _, a := range auth {
			mustRefuse(t, a, token, "could not be asked")
		}
	}
	cf.UAA.Fail(0)
	cf.UAA.Stop()
	for _, a := range auth {
		mustRefuse(t, a, token, "could not be asked")
	}
	cf.UAA.Resume(t)
	for name, a := range auth {
		if _, err := a.Authenticate(request(t, token)); err != nil {
			t.Errorf("%s after the UAA came back: %v", name, err)
		}
	}
	cf.UAA.Stop()
	if _, err := auth["jwt"].Authenticate(request(t, token)); err != nil {
		t.Errorf("a token of a known key needs no UAA: %v", err)
	}
}

// TestSlowUAA: a request that ends does not wait for the UAA.
func TestSlowUAA(t *testing.T) {
	cf := cfstub.New(t)
	uaa, _ := connect(t, cf, quiet, "")
	cf.UAA.Delay(time.Minute)
	token := cf.Mint(cfstub.User("alice"))
	for name, auth := range both(uaa) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		begin := time.Now()
		if _, err := auth.Authenticate(request(t, token).WithContext(ctx)); err == nil {
			t.Errorf("%s: a UAA that says nothing let somebody in", name)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("%s waited %v after its request had ended", name, took)
		}
		cancel()
	}
}

// TestCustomCA: a server of another CA is not believed.
func TestCustomCA(t *testing.T) {
	cf, ca := cfstub.NewTLS(t)
	uaa, cc := connect(t, cf, quiet, ca)
	if _, err := uaa.Authenticate(request(t, cf.Mint(cfstub.User("alice")))); err != nil {
		t.Error(err)
	}
	if _, err := cc.Gone(t.Context(), nil); err != nil {
		t.Error(err)
	}
	strange, _ := connect(t, cf, quiet, "")
	mustRefuse(t, strange, cf.Mint(cfstub.User("alice")), "could not be asked")
	for _, file := range []string{"/nowhere", "uaa_test.go"} {
		if _, err := cloudfoundry.NewUAA(cloudfoundry.UAAConfig{URL: cf.UAA.URL, CAFile: file}); err == nil {
			t.Errorf("%s is no CA", file)
		}
	}
}
