// Command sqlite answers queries from an SQLite database and swaps the query encoder while they run. README.md explains
// it.
package main

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/gonum/blas/blas32"
	_ "modernc.org/sqlite"
	_ "modernc.org/sqlite/vec"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/examples/internal/stores"
)

func main() { stores.Main("runs/sqlite", "folder of the databases", open) }

// store is a database with the passages, their vectors in a table of sqlite-vec, and their words in one of FTS5.
type store struct {
	db  *sql.DB
	dim int
}

const tables = `
CREATE TABLE IF NOT EXISTS passages (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, content TEXT NOT NULL);
CREATE VIRTUAL TABLE IF NOT EXISTS vectors USING vec0(number INTEGER PRIMARY KEY, vector float[%d]);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(content, content='', contentless_delete=1, tokenize='porter');`

func open(ctx context.Context, address, index string, dim int) (stores.Store, error) {
	if err := os.MkdirAll(address, 0o755); err != nil {
		return nil, err
	}
	// With a write-ahead log, searches do not wait for a write.
	file := url.URL{
		Scheme: "file", Path: filepath.Join(address, index+".db"),
		RawQuery: "_pragma=journal_mode(wal)&_pragma=busy_timeout(10000)",
	}
	db, err := sql.Open("sqlite", file.String())
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, fmt.Sprintf(tables, dim)); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &store{db, dim}, nil
}

func (s *store) Count(ctx context.Context) (n int, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT count(*) FROM passages").Scan(&n)
	return n, err
}

const (
	upsert = `INSERT INTO passages(id, content) VALUES (?, ?)
		ON CONFLICT(id) DO UPDATE SET content = excluded.content RETURNING number`
	index = `DELETE FROM vectors WHERE number = ?1; INSERT INTO vectors(number, vector) VALUES (?1, ?2);
		DELETE FROM words WHERE rowid = ?1; INSERT INTO words(rowid, content) VALUES (?1, ?3)`
)

// Write adds all passages or none.
func (s *store) Write(ctx context.Context, passages []retort.Passage, vectors blas32.General) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after a Commit
	for i, p := range passages {
		var number int
		vector, err := binary.Append(nil, binary.LittleEndian, vectors.Data[i*vectors.Stride:][:s.dim])
		if err == nil {
			err = tx.QueryRowContext(ctx, upsert, p.ID, p.Content()).Scan(&number)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, index, number, vector, p.Content())
		}
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (s *store) Vector(ctx context.Context, id string) ([]float32, error) {
	var raw []byte
	const query = "SELECT vector FROM passages JOIN vectors USING (number) WHERE id = ?"
	err := s.db.QueryRowContext(ctx, query, id).Scan(&raw)
	if err != nil {
		return nil, err
	}
	v := make([]float32, s.dim)
	_, err = binary.Decode(raw, binary.LittleEndian, v)
	return v, err
}

// mostNearest is the largest k of sqlite-vec.
const mostNearest = 4096

func (s *store) Dense(ctx context.Context, query []float32, k int) ([]string, error) {
	raw, err := binary.Append(nil, binary.LittleEndian, query)
	if err != nil {
		return nil, err
	}
	// The distance is Euclidean. Vectors of length 1 have the same order by their inner product.
	return s.ids(ctx, `SELECT id FROM vectors JOIN passages USING (number)
		WHERE vector MATCH ? AND k = ? ORDER BY distance`, raw, min(k, mostNearest))
}

func (s *store) Text(ctx context.Context, query string, k int) ([]string, error) {
	words := strings.Fields(strings.ReplaceAll(query, `"`, " "))
	if len(words) == 0 {
		return nil, nil
	}
	// A quoted word is no operator of FTS5. Its rank is a negative BM25.
	return s.ids(ctx, `SELECT id FROM words JOIN passages ON number = words.rowid
		WHERE words MATCH ? ORDER BY rank LIMIT ?`, `"`+strings.Join(words, `" OR "`)+`"`, k)
}

// ids returns the first column of a query's rows.
func (s *store) ids(ctx context.Context, query string, args ...any) (ids []string, err error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func (s *store) Close() error { return s.db.Close() }
