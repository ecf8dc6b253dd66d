package gormstore

import (
	"fmt"
	"testing"

	"gorm.io/gorm"
)

// TestStatements: each is prepared once, in a transaction or not, and no more
// than are worth keeping; those that cannot be prepared run all the same.
func TestStatements(t *testing.T) {
	t.Parallel()
	s := open(t, sqliteAt(file(t)), options())
	pool := s.db.ConnPool.(*statements)
	count := func() int {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		return len(pool.prepared)
	}
	insert := func(tx *gorm.DB, n int) error { return tx.Exec("INSERT INTO numbers (n) VALUES (?)", n).Error }

	before := count()
	err := s.db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec("CREATE TABLE numbers (n INTEGER)").Error; err != nil {
			return err
		}
		return insert(tx, 1) // no other connection sees the table
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if err := s.db.Transaction(func(tx *gorm.DB) error { return insert(tx, n) }); err != nil {
			t.Fatal(err)
		}
		if err := insert(s.db, n); err != nil {
			t.Fatal(err)
		}
	}
	if got := count() - before; got != 2 {
		t.Errorf("%d statements prepared, want 2: one that creates, one that inserts", got)
	}

	for n := range maxStatements + 10 {
		if err := s.db.Exec(fmt.Sprintf("INSERT INTO numbers (n) VALUES (%d)", n)).Error; err != nil {
			t.Fatal(err)
		}
	}
	if got := count(); got != maxStatements {
		t.Errorf("%d statements kept, want %d", got, maxStatements)
	}
	var rows int
	if err := s.db.Raw("SELECT COUNT(*) FROM numbers").Scan(&rows).Error; err != nil || rows != 7+maxStatements+10 {
		t.Errorf("%d rows (%v), want %d", rows, err, 7+maxStatements+10)
	}
}
