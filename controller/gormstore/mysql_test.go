package gormstore

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/mariadb"
)

// TestWhyAServerCannotBeUsed is said without the password.
func TestWhyAServerCannotBeUsed(t *testing.T) {
	db := mariaDB(t)
	for dsn, want := range map[string]string{
		strings.Replace(db.dsn, mariadb.User+":", mariadb.User+":hush", 1): "Access denied",
		db.server.DSN("nothing"):                "Unknown database 'nothing'",
		"mysql://weft:hush@127.0.0.1:1/weft":    "connection refused",
		"mysql://weft:hush@unix(/nowhere)/weft": "no such file",
		db.server.TCP(db.schema) + "?tls=true":  "TLS",
		db.server.TCP(db.schema) + "?tls=maybe": `tls "maybe"`,
	} {
		_, err := Open(t.Context(), dsn, options())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), mariadb.Password) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := open(t, place{dsn: db.server.TCP(db.schema)}, options()).Healthy(t.Context()); err != nil {
		t.Errorf("by the loopback address: %v", err)
	}
}

// TestServerThatMayLoseWrites is warned of, and used.
func TestServerThatMayLoseWrites(t *testing.T) {
	for flush, warned := range map[int]bool{1: false, 2: true} {
		db := mariaDB(t)
		hand(t, db, fmt.Sprintf("SET GLOBAL innodb_flush_log_at_trx_commit = %d", flush))
		var log bytes.Buffer
		o := options()
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		open(t, db, o)
		hand(t, db, "SET GLOBAL innodb_flush_log_at_trx_commit = 1")
		if strings.Contains(log.String(), "may lose writes") != warned {
			t.Errorf("with %d: %s", flush, log.String())
		}
	}
}

// TestServerGoesAway: connections that the server has ended are made anew, and
// a write of which one was needed is done or not.
func TestServerGoesAway(t *testing.T) {
	db := mariaDB(t)
	s := open(t, db, options())
	assign := func(app flows.AppID) error {
		_, err := s.Write(t.Context(), controller.AssignGroups{Apps: []flows.AppID{app}})
		return err
	}
	if err := assign("cats"); err != nil {
		t.Fatal(err)
	}
	var ids []int
	if err := s.db.Raw("SELECT id FROM information_schema.processlist WHERE db = ? AND id <> CONNECTION_ID()", db.schema).Scan(&ids).Error; err != nil {
		t.Fatal(err)
	}
	var own int
	if err := s.db.Raw("SELECT CONNECTION_ID()").Scan(&own).Error; err != nil {
		t.Fatal(err)
	}
	for _, id := range append(ids, own) {
		hand(t, db, fmt.Sprintf("KILL %d", id))
	}
	if err := assign("dogs"); err != nil {
		t.Errorf("after the server ended every connection: %v", err)
	}
	if got := groupsText(state(load(t, s))); !strings.Contains(got, "dogs") {
		t.Errorf("groups %s", got)
	}
}
