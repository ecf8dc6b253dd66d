package cloudfoundry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/controller/cloudfoundry"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/cfstub"
	"github.com/weft-sdn/weft/testbed/logbook"
)

// oddServer answers everything with the body.
func oddServer(t testing.TB, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
	t.Cleanup(server.Close)
	return server.URL
}

func mustCC(t testing.TB, address string, uaa *cloudfoundry.UAA) *cloudfoundry.CloudController {
	t.Helper()
	cc, err := cloudfoundry.NewCloudController(address, "", uaa)
	if err != nil {
		t.Fatal(err)
	}
	return cc
}

// TestNoSecretsInErrorsAndLogs: whatever goes wrong, neither our secret nor
// anybody's token is in an error or in the log.
func TestNoSecretsInErrorsAndLogs(t *testing.T) {
	cf := platform(t)
	var log logbook.Logbook
	uaa, cc := connect(t, cf, debugLog(&log), "")
	token := cf.Mint(cfstub.User("alice", "network.admin"))
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed, with %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	redirecting := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer redirecting.Close()
	lost, err := cloudfoundry.NewUAA(cloudfoundry.UAAConfig{URL: redirecting.URL, ClientID: cfstub.ClientID, ClientSecret: cfstub.ClientSecret, Log: debugLog(&log)})
	if err != nil {
		t.Fatal(err)
	}
	echo := oddServer(t, `{"access_token":7,"x":"`+token+`","scope":"`+token+`","keys":["`+token+`"]}`)
	echoing, err := cloudfoundry.NewUAA(cloudfoundry.UAAConfig{URL: echo, ClientID: cfstub.ClientID, ClientSecret: cfstub.ClientSecret, Log: debugLog(&log)})
	if err != nil {
		t.Fatal(err)
	}

	var said []string
	say := func(err error) { said = append(said, fmt.Sprintf("%v %+v", err, err)) }
	try := func() {
		for _, u := range []*cloudfoundry.UAA{uaa, lost, echoing} {
			for _, auth := range both(u) {
				for _, header := range []string{"Bearer " + token, token + "x", "Basic " + token, token[:len(token)/2], strings.ReplaceAll(token, ".", "")} {
					_, err := auth.Authenticate(request(t, header))
					say(err)
				}
			}
			_, err := mustCC(t, cf.CC.URL, u).Gone(t.Context(), []flows.AppID{"front"})
			say(err)
		}
		_, err := cc.Gone(t.Context(), []flows.AppID{"front"})
		say(err)
	}
	try()
	cf.CC.Fail(http.StatusUnauthorized)
	try()
	cf.CC.Stop()
	cf.UAA.Fail(http.StatusUnauthorized)
	try()
	cf.UAA.Stop()
	try()

	text := log.String() + strings.Join(said, "\n")
	parts := strings.Split(token, ".")
	for what, secret := range map[string]string{
		"client secret": cfstub.ClientSecret, "claims of a token": parts[1][:20], "signature of a token": parts[2][:20],
	} {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("the %s is told: …%.200s", what, text[max(0, at-100):])
		}
	}
	if !strings.Contains(text, "could not be asked") {
		t.Error("nothing went wrong: this test tried nothing")
	}
}
