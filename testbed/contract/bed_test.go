package contract

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller/pki"
	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/testbed/cfstub"
	"github.com/weft-sdn/weft/testbed/logbook"
	"github.com/weft-sdn/weft/testbed/mariadb"
)

func TestMain(m *testing.M) { mariadb.Main(m) }

// v1 and v0 are the paths of the external API.
const (
	v1 = "/networking/v1/external"
	v0 = "/networking/v0/external"
)

// The callers that every bed knows, by the word that a step names them with.
// ann develops the space "zoo" with the apps cats and dogs; the app wolves is
// in the space "woods", and the app ghosts does not exist.
var callers = map[string]cfstub.Claims{
	"admin": cfstub.User("root", "network.admin"),
	"ann":   cfstub.User("ann", "network.write"),
	"robot": cfstub.Client("robot", "network.write"), // develops zoo, too
	"ben":   cfstub.User("ben", "network.write"),     // develops nothing
	"guest": cfstub.User("guest", "openid", "cloud_controller.read"),
	"none":  cfstub.User("none"),
}

// bed is one controller with all that it asks.
type bed struct {
	t      *testing.T
	cf     *cfstub.Stub
	config server.Config
	dir    string // of the certificates
	url    string // of the external API
	inside string // of the internal API
	client *http.Client
	tokens map[string]string
	log    *logbook.Logbook
}

// onEach runs a test with a fresh controller on each database. Settings change
// the configuration before the start.
func onEach(t *testing.T, test func(t *testing.T, b *bed), settings ...func(*server.Config)) {
	for name, database := range map[string]func(t *testing.T) string{
		"sqlite": func(t *testing.T) string { return "sqlite://" + filepath.Join(t.TempDir(), "weft.db") },
		"mariadb": func(t *testing.T) string {
			db, schema := mariadb.Schema(t)
			return db.DSN(schema)
		},
	} {
		t.Run(name, func(t *testing.T) { test(t, newBed(t, database(t), settings...)) })
	}
}

func newBed(t *testing.T, database string, settings ...func(*server.Config)) *bed {
	t.Helper()
	b := &bed{t: t, cf: cfstub.New(t), dir: t.TempDir(), tokens: map[string]string{}, log: &logbook.Logbook{}}
	cells, err := pki.ParseCells("cell-1,cell-2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Init(pki.Request{Dir: b.dir, Cells: cells, ControllerNames: []string{"127.0.0.1"}, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for _, app := range []string{"cats", "dogs"} {
		b.cf.AddApp(cfstub.App{GUID: app, Space: "zoo"})
	}
	b.cf.AddApp(cfstub.App{GUID: "wolves", Space: "woods"})
	b.cf.AddDeveloper("ann-guid", "zoo")
	b.cf.AddDeveloper("robot", "zoo")
	for name, claims := range callers {
		b.tokens[name] = b.cf.Mint(claims)
	}
	b.config = server.Default()
	b.config.Listen, b.config.InternalListen = "127.0.0.1:0", "127.0.0.1:0"
	b.config.InternalTLS = b.keys("controller")
	b.config.Database = database
	b.config.Auth.Mode = server.AuthUAA
	b.config.Auth.UAA.URL, b.config.Auth.UAA.ClientSecret = b.cf.UAA.URL, cfstub.ClientSecret
	b.config.CloudController.URL = b.cf.CC.URL
	for _, set := range settings {
		set(&b.config)
	}
	b.start()
	return b
}

func (b *bed) keys(name string) api.KeyFiles {
	return api.KeyFiles{
		Cert: filepath.Join(b.dir, name+".crt"), Key: filepath.Join(b.dir, name+".key"), CA: filepath.Join(b.dir, pki.AuthorityCert),
	}
}

// start starts the controller, which ends with the test.
func (b *bed) start() {
	b.t.Helper()
	s, err := server.Start(context.Background(), b.config, slog.New(slog.NewJSONHandler(b.log, nil)))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = s.Stop() }) // a database that was killed is its last complaint
	b.url, b.inside = "http://"+s.External.String(), "https://"+s.Internal.String()
	if b.config.TLS.Cert != "" {
		b.url = "https://" + s.External.String()
	}
	config, err := api.ClientTLS(b.keys("cell-1"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.client = &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	b.t.Cleanup(b.client.CloseIdleConnections)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// call makes one request, for "METHOD path". Those of internal paths go to the
// internal API, with a certificate. Header is in pairs. Any goroutine may call it.
func (b *bed) call(as, request, body string, header ...string) answer {
	b.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	base := b.url
	if strings.Contains(path, "/internal/") {
		base = b.inside
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		b.t.Error(err)
		return answer{}
	}
	if as != "" {
		r.Header.Set("Authorization", "Bearer "+b.tokens[as])
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Error(err)
		return answer{}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Error(err)
		return answer{}
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

// step is one request and the answer that the contract says.
type step struct {
	section string
	as      string // a caller; "" without a token
	request string
	body    string
	status  int
	answer  string
}

// play makes the requests in order.
func (b *bed) play(steps ...step) {
	b.t.Helper()
	for _, s := range steps {
		got := b.call(s.as, s.request, s.body)
		if got.status != s.status || got.body != s.answer {
			b.t.Errorf("section %s: %s as %q with %.200q:\ngot  %d %q\nwant %d %q", s.section, s.request, s.as, s.body, got.status, got.body, s.status, s.answer)
		}
	}
}

// wrong is the body of an error.
func wrong(text string) string { return `{"error": "` + text + `"}` }

// some renders policies, each as "from to port" or "from to first-last", of
// TCP, as v1 does.
func some(policies ...string) string {
	var list []string
	for _, p := range policies {
		words := strings.Fields(p)
		first, last, is := strings.Cut(words[2], "-")
		if !is {
			last = first
		}
		list = append(list, `{"source":{"id":"`+words[0]+`"},"destination":{"id":"`+words[1]+`","protocol":"tcp","ports":{"start":`+first+`,"end":`+last+`}}}`)
	}
	return strings.Join(list, ",")
}

// body is a request with those policies, and list an answer.
func body(policies ...string) string { return `{"policies":[` + some(policies...) + `]}` }

func list(policies ...string) string {
	return `{"total_policies":` + string(rune('0'+len(policies))) + `,"policies":[` + some(policies...) + `]}`
}
