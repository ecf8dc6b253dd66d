package gormstore

import (
	"context"
	"database/sql"
	"sync"

	"gorm.io/gorm"
)

// maxStatements bounds how many statements are kept prepared. Lists of values
// come in batches of any length, and each length is a statement.
const maxStatements = 500

// statements is a pool that prepares each statement once per connection,
// whether it first runs in a transaction or not. gorm's own cache prepares
// those of a transaction anew in each, which costs as much as running them.
type statements struct {
	*sql.DB
	mu       sync.Mutex
	prepared map[string]*sql.Stmt
}

func prepares(pool *sql.DB) *statements {
	return &statements{DB: pool, prepared: map[string]*sql.Stmt{}}
}

// prepare returns the statement, or nil where there are too many already. An
// error may be of what another connection does not see yet, such as a table
// that the transaction has made: then the statement itself tells. It takes
// another connection than a transaction's, so their number must not be limited.
func (s *statements) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt := s.prepared[query]; stmt != nil || len(s.prepared) >= maxStatements {
		return stmt, nil
	}
	stmt, err := s.DB.PrepareContext(ctx, query)
	if err == nil {
		s.prepared[query] = stmt
	}
	return stmt, err
}

// BeginTx implements gorm.ConnPoolBeginner.
func (s *statements) BeginTx(ctx context.Context, options *sql.TxOptions) (gorm.ConnPool, error) {
	tx, err := s.DB.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	return &transaction{tx, s}, nil
}

// GetDBConn implements gorm.GetDBConnector.
func (s *statements) GetDBConn() (*sql.DB, error) { return s.DB, nil }

// ExecContext implements gorm.ConnPool.
func (s *statements) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := s.prepare(ctx, query)
	if err != nil || stmt == nil {
		return s.DB.ExecContext(ctx, query, args...)
	}
	return stmt.ExecContext(ctx, args...)
}

// QueryContext implements gorm.ConnPool.
func (s *statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := s.prepare(ctx, query)
	if err != nil || stmt == nil {
		return s.DB.QueryContext(ctx, query, args...)
	}
	return stmt.QueryContext(ctx, args...)
}

// QueryRowContext implements gorm.ConnPool.
func (s *statements) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, err := s.prepare(ctx, query)
	if err != nil || stmt == nil {
		return s.DB.QueryRowContext(ctx, query, args...)
	}
	return stmt.QueryRowContext(ctx, args...)
}

// transaction runs prepared statements.
type transaction struct {
	*sql.Tx
	of *statements
}

// ExecContext implements gorm.ConnPool.
func (t *transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := t.of.prepare(ctx, query)
	if err != nil || stmt == nil {
		return t.Tx.ExecContext(ctx, query, args...)
	}
	return t.Tx.StmtContext(ctx, stmt).ExecContext(ctx, args...)
}

// QueryContext implements gorm.ConnPool.
func (t *transaction) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := t.of.prepare(ctx, query)
	if err != nil || stmt == nil {
		return t.Tx.QueryContext(ctx, query, args...)
	}
	return t.Tx.StmtContext(ctx, stmt).QueryContext(ctx, args...)
}

// QueryRowContext implements gorm.ConnPool.
func (t *transaction) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, err := t.of.prepare(ctx, query)
	if err != nil || stmt == nil {
		return t.Tx.QueryRowContext(ctx, query, args...)
	}
	return t.Tx.StmtContext(ctx, stmt).QueryRowContext(ctx, args...)
}
