package gormstore

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// Source says where the database is.
type Source struct {
	Path  string         // of SQLite's file; "" for MySQL
	mysql *driver.Config // nil for SQLite
}

const wantDSN = "want sqlite:///absolute/path or mysql://user:password@host:3306/database"

// ParseDSN reads a database's name:
//
//	sqlite:///absolute/path
//	mysql://user:password@host:3306/database
//	mysql://user:password@unix(/path/of/socket)/database
//	mysql://user:password@localhost/database?socket=/path/of/socket
//
// With ?tls=true the server must show a certificate that the system trusts for
// its name. "%", "@", "/", ":" and "?" in a user's name or password may be
// written as in a URL (%40 for "@"), and "%" and "?" must be. No error holds
// the password.
func ParseDSN(dsn string) (Source, error) {
	if rest, is := strings.CutPrefix(dsn, "mysql://"); is {
		config, err := parseMySQL(rest)
		return Source{mysql: config}, err
	}
	path, is := strings.CutPrefix(dsn, "sqlite://")
	if !is || !filepath.IsAbs(path) {
		return Source{}, errors.New(wantDSN)
	}
	return Source{Path: filepath.Clean(path)}, nil
}

// String names the database without its password.
func (s Source) String() string {
	if s.mysql == nil {
		return s.Path
	}
	return fmt.Sprintf("mysql://%s@%s(%s)/%s", s.mysql.User, s.mysql.Net, s.mysql.Addr, s.mysql.DBName)
}

func parseMySQL(text string) (*driver.Config, error) {
	text, query, _ := strings.Cut(text, "?")
	at := strings.LastIndex(text, "@")
	if at < 0 {
		return nil, errors.New(wantDSN + ": it names no user")
	}
	config := driver.NewConfig()
	user, password, _ := strings.Cut(text[:at], ":")
	var err, err2 error
	config.User, err = url.PathUnescape(user)
	config.Passwd, err2 = url.PathUnescape(password)
	if err != nil || err2 != nil || config.User == "" {
		return nil, errors.New(wantDSN + `: the user's name is missing, or a "%" in it or in the password is not written as %25`)
	}
	address := text[at+1:]
	slash := strings.LastIndex(address, "/")
	if slash < 0 || address[slash+1:] == "" {
		return nil, errors.New(wantDSN + ": it names no database after the host")
	}
	config.DBName, address = address[slash+1:], address[:slash]
	if socket, is := strings.CutPrefix(address, "unix("); is {
		config.Net, config.Addr = "unix", strings.TrimSuffix(socket, ")")
	} else {
		config.Net, config.Addr = "tcp", address
		if _, _, err := net.SplitHostPort(address); err != nil {
			config.Addr = net.JoinHostPort(strings.Trim(address, "[]"), "3306")
		}
	}
	if err := parameters(config, query); err != nil {
		return nil, err
	}
	if config.Net == "unix" && !filepath.IsAbs(config.Addr) {
		return nil, fmt.Errorf("%s: socket %q is not an absolute path", wantDSN, config.Addr)
	}
	if config.Net == "tcp" && strings.HasPrefix(config.Addr, ":") {
		return nil, errors.New(wantDSN + ": it names no host")
	}
	// A server that does not answer is an error of the request, not its end.
	config.Timeout, config.ReadTimeout, config.WriteTimeout = 5*time.Second, 30*time.Second, 30*time.Second
	config.InterpolateParams = true // one round trip for each statement
	config.ClientFoundRows = true   // rows that an update met, as SQLite counts
	config.Collation = "utf8mb4_bin"
	config.Params = map[string]string{"sql_mode": "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"}
	config.Logger = &driver.NopLogger{} // errors are returned
	return config, nil
}

func parameters(config *driver.Config, query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New(wantDSN + ": what follows the question mark is not key=value")
	}
	for key, value := range values {
		switch {
		case key == "socket":
			config.Net, config.Addr = "unix", value[0]
		case key == "tls" && (value[0] == "true" || value[0] == "false"):
			config.TLSConfig = value[0]
		case key == "tls":
			return fmt.Errorf("%s: tls %q: want true or false", wantDSN, value[0])
		default:
			return fmt.Errorf("%s: no parameter is called %q: there are socket and tls", wantDSN, key)
		}
	}
	return nil
}
