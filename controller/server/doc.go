// Package server is a whole weft-controller in this process: the database, the
// state machine and the two listeners (external API with a bearer token,
// internal API over mTLS). It takes values; configuration files and flags are
// the command's business. Start reading at Start.
package server
