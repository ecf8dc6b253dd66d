// Package mariadb runs a private MariaDB server for tests: its own data
// directory, a unix socket, a port of the loopback address, and nothing of the
// host's configuration. It needs Debian's mariadb-server and no root, and ends
// with the process that started it.
//
// A package's tests share one server, which Schema starts when the first of
// them asks; each test has a schema of its own. TestMain calls Main.
package mariadb
