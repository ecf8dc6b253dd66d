package gormstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// connections bounds how many of the server's a controller uses: writes queue
// for one, and Load and the followers need few.
const connections = 10

func (s *Store) openMySQL(ctx context.Context, config *driver.Config) error {
	connector, err := driver.NewConnector(config)
	if err != nil {
		return err
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	pool.SetConnMaxLifetime(time.Hour)
	s.shared = true
	s.db, err = gorm.Open(mysql.New(mysql.Config{Conn: pool, DisableWithReturning: true}), &gorm.Config{
		SkipDefaultTransaction: true,
		Logger:                 logger.Discard, // errors are returned
	})
	if err != nil {
		_ = pool.Close() // err says more
		return err
	}
	return s.judge(ctx)
}

// judge looks at the server: which collation tells ids apart byte by byte, and
// whether it keeps what it has confirmed.
func (s *Store) judge(ctx context.Context) error {
	var version string
	var flush int
	row := s.db.WithContext(ctx).Raw("SELECT VERSION(), @@innodb_flush_log_at_trx_commit").Row()
	if err := row.Scan(&version, &flush); err != nil {
		return fmt.Errorf("asking the server for its settings: %w", err)
	}
	s.collation = "utf8mb4_0900_bin"
	if strings.Contains(version, "MariaDB") {
		s.collation = "utf8mb4_nopad_bin"
	}
	if flush != 1 {
		s.Log.Warn("the database server may lose writes that it has confirmed, when its machine fails: set innodb_flush_log_at_trx_commit to 1",
			"innodb_flush_log_at_trx_commit", flush, "version", version)
	}
	return nil
}
