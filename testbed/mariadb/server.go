package mariadb

import (
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// The server's user may do everything. The password holds what a DSN must
// escape, and what it need not.
const (
	User     = "weft"
	Password = "p%s:w@r/d?#"
)

// startTimeout bounds how long the server may take to answer, recovery included.
const startTimeout = 30 * time.Second

// Server is a server with its data. Its methods are for one goroutine.
type Server struct {
	dir  string
	port int
	run  *daemon // nil: it does not run
}

// daemon is a process that ends with its standard input, and so with us.
type daemon struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// supervise waits for the end of its standard input. Pdeathsig would be
// shorter, but it follows the thread that forked, and Go's threads may end.
const supervise = `"$@" </dev/null & read -r _; kill -9 $!`

// Start makes a data directory and runs a server on it.
func Start() (*Server, error) {
	dir, err := os.MkdirTemp("", "mariadb") // a test's own directory is too long for a socket's path
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if err := s.install(); err != nil {
		s.Remove()
		return nil, err
	}
	if err := s.Run(); err != nil {
		s.Remove()
		return nil, err
	}
	return s, nil
}

// install makes the data directory, without waiting for the disk: it is not
// needed after a crash.
func (s *Server) install() error {
	cmd := exec.Command("mariadb-install-db", append(s.arguments(), "--skip-test-db", "--auth-root-authentication-method=normal",
		"--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db (is Debian's mariadb-server installed?): %w\n%s", err, out)
	}
	statements := ""
	for _, host := range []string{"localhost", "%"} {
		who := fmt.Sprintf("'%s'@'%s'", User, host)
		statements += "CREATE USER IF NOT EXISTS " + who + " IDENTIFIED BY '" + Password + "';\nGRANT ALL ON *.* TO " + who + ";\n"
	}
	return os.WriteFile(filepath.Join(s.dir, "users.sql"), []byte(statements), 0o600)
}

// arguments are what installing and running have in common.
func (s *Server) arguments() []string {
	args := []string{"--no-defaults", "--datadir=" + filepath.Join(s.dir, "data"), "--innodb-log-file-size=32M"}
	if os.Geteuid() == 0 {
		args = append(args, "--user=root")
	}
	return args
}

// Run starts the server again after Kill, on the same address, and waits until
// it has recovered what it had confirmed.
func (s *Server) Run() error {
	if s.port == 0 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.port = listener.Addr().(*net.TCPAddr).Port
		if err := listener.Close(); err != nil {
			return err
		}
	}
	args := append([]string{"-c", supervise, "sh", "/usr/sbin/mariadbd"}, s.arguments()...)
	cmd := exec.Command("sh", append(args, "--socket="+s.socket(), "--bind-address=127.0.0.1", "--port="+strconv.Itoa(s.port),
		"--pid-file="+filepath.Join(s.dir, "pid"), "--log-error="+filepath.Join(s.dir, "log"), "--tmpdir="+s.dir,
		"--init-file="+filepath.Join(s.dir, "users.sql"), "--skip-name-resolve", "--skip-log-bin", "--performance-schema=OFF",
		"--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=1")...)
	cmd.Dir = s.dir
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.run = &daemon{cmd, stdin}
	if err := s.wait(); err != nil {
		log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		s.Kill()
		return fmt.Errorf("mariadbd does not answer: %w\n%s", err, log)
	}
	return nil
}

func (s *Server) wait() error {
	db, err := s.open("")
	if err != nil {
		return err
	}
	defer db.Close()
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(5 * time.Millisecond) {
		if err = db.Ping(); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// Kill ends the server with SIGKILL.
func (s *Server) Kill() {
	if s.run == nil {
		return
	}
	_ = s.run.stdin.Close() // it has ended by itself if that fails
	_ = s.run.cmd.Wait()    // the shell's status is that of kill
	s.run = nil
}

// Remove ends the server and removes its data.
func (s *Server) Remove() {
	s.Kill()
	_ = os.RemoveAll(s.dir) // what is left is in the directory for temporary files
}

// Exec does statements as the server's user.
func (s *Server) Exec(schema string, statements ...string) error {
	db, err := s.open(schema)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// Text does a query as the server's user, and returns its one value.
func (s *Server) Text(schema, query string) (value string, err error) {
	db, err := s.open(schema)
	if err != nil {
		return "", err
	}
	defer db.Close()
	err = db.QueryRow(query).Scan(&value)
	return value, err
}

func (s *Server) open(schema string) (*sql.DB, error) {
	config := driver.NewConfig()
	config.User, config.Passwd, config.Net, config.Addr, config.DBName = User, Password, "unix", s.socket(), schema
	config.Logger = &driver.NopLogger{}
	connector, err := driver.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

func (s *Server) socket() string { return filepath.Join(s.dir, "socket") }

// DSN is the controller's name for a schema, by the unix socket.
func (s *Server) DSN(schema string) string {
	return fmt.Sprintf("mysql://%s:%s@unix(%s)/%s", User, url.QueryEscape(Password), s.socket(), schema)
}

// TCP is the controller's name for a schema, by the loopback address.
func (s *Server) TCP(schema string) string {
	return fmt.Sprintf("mysql://%s:%s@127.0.0.1:%d/%s", User, url.QueryEscape(Password), s.port, schema)
}
