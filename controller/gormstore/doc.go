// Package gormstore is the controller's database, through gorm: SQLite in one
// file (write-ahead log, synchronous=FULL, one process), or a MySQL or MariaDB
// server, which several controllers may share. What Write returned survives a
// kill of the process, of the server and of the machine, as far as the server
// keeps innodb_flush_log_at_trx_commit at 1.
//
// A write is one transaction: it takes the lock row, validates, allocates ids,
// appends one row to the change log, numbers it and commits. The number is
// taken under the lock, so the log's order is the order of the commits, and a
// reader that has seen revision n has seen every one before it.
//
// A freed group id stays in its row, marked, until its quarantine is over: the
// row keeps it for its app and from everybody else (quarantine.go).
//
// A lease that nobody renews stays in its row, marked, until another cell needs
// the subnet (leases.go); pool.go is pure, and knows what can be leased.
//
// The schema is made by the same steps on both databases (schema.go); what they
// do not agree on is in dialect.go.
//
// Start reading at Write (write.go). Load (load.go) trusts no row: one that a
// hand has broken is reported and skipped.
package gormstore
