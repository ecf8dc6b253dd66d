package server_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/testbed/logbook"
	"github.com/weft-sdn/weft/testbed/mariadb"
)

// TestSecretsStayOutOfTheLog: wherever a client puts the token, whatever is
// wrong with its request, and when the database is gone, the log at its most
// talkative holds neither the token nor the database's password.
func TestSecretsStayOutOfTheLog(t *testing.T) {
	db, err := mariadb.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Remove)
	if err := db.Exec("", "CREATE DATABASE weft"); err != nil {
		t.Fatal(err)
	}
	_, config := install(t)
	config.Database = db.TCP("weft")
	var log logbook.Logbook
	s, err := server.Start(context.Background(), config, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	policies := "http://" + s.External.String() + "/networking/v1/external/policies"
	ask := func(method, target, authorization, body string) int {
		request, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", authorization)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	bearer := "Bearer " + s.Token
	everything := func() {
		for _, authorization := range []string{bearer, bearer + "x", "Basic " + s.Token, "", s.Token[:len(s.Token)/2]} {
			for _, body := range []string{"", "{", `{"policies":[{"source":{"id":1}}]}`, one("a", "b")} {
				ask("POST", policies, authorization, body)
				ask("POST", policies+"/delete?access_token="+s.Token, authorization, body)
				ask("PUT", "http://"+s.External.String()+"/weft/v1/sets/x?token="+s.Token, authorization, body)
			}
			for _, path := range []string{"?access_token=" + s.Token, "/nothing?" + s.Token, "/../tags"} {
				ask("GET", policies+path, authorization, "")
			}
		}
		for _, address := range []net.Addr{s.External, s.Internal} {
			conn, err := net.Dial("tcp", address.String())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, "GET / HTTP/9.9\r\nAuthorization : "+bearer+"\r\n\r\n") // TLS closes at once
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}
	everything()
	if got := ask("GET", policies, bearer, ""); got != http.StatusOK {
		t.Errorf("the token is answered %d", got)
	}
	db.Kill()
	everything()
	if got := ask("POST", policies, bearer, one("c", "d")); got != http.StatusInternalServerError {
		t.Errorf("without its database the controller answers %d", got)
	}
	if err := s.Stop(); err != nil {
		t.Log(err)
	}
	if _, err := server.Start(context.Background(), config, slog.New(slog.NewJSONHandler(&log, nil))); err == nil {
		t.Error("started without its database")
	} else {
		_, _ = io.WriteString(&log, err.Error())
	}
	text := log.String()
	if !strings.Contains(text, "database") {
		t.Error("the log says nothing of the database")
	}
	for what, secret := range map[string]string{
		"token": s.Token, "half of the token": s.Token[:len(s.Token)/2], "database's password": mariadb.Password,
		"database's password, escaped": url.QueryEscape(mariadb.Password),
	} {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("the log holds the %s: ...%s", what, text[max(0, at-200):min(len(text), at+100)])
		}
	}
}

// one is a body with one policy.
func one(from, to string) string {
	return `{"policies":[{"source":{"id":"` + from + `"},"destination":{"id":"` + to + `","protocol":"tcp","ports":{"start":1,"end":2}}}]}`
}
