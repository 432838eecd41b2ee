package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgvector/pgvector-go"
	pgxvector "github.com/pgvector/pgvector-go/pgx"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/generate"
)

// store keeps a corpus, its vectors and the users' queries in PostgreSQL. It is safe for concurrent use.
type store struct {
	pool *pgxpool.Pool
	dim  int
}

// A vector is that of the digest's model and text, so that it is known when it must be made anew.
const tables = `
CREATE TABLE IF NOT EXISTS passages (
	id text PRIMARY KEY, title text NOT NULL, text text NOT NULL, digest bytea NOT NULL, embedding vector(%d) NOT NULL);
CREATE TABLE IF NOT EXISTS asked (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL, at timestamptz NOT NULL DEFAULT now())`

// openStore connects and makes what is not there yet. The role must be allowed to create the extension vector, or find
// it.
func openStore(ctx context.Context, config *pgxpool.Config, dim int) (*store, error) {
	first, err := pgx.ConnectConfig(ctx, config.ConnConfig.Copy())
	if err != nil {
		return nil, err
	}
	_, err = first.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS vector")
	if err == nil {
		_, err = first.Exec(ctx, fmt.Sprintf(tables, dim))
	}
	width := 0
	if err == nil {
		err = first.QueryRow(ctx,
			`SELECT atttypmod FROM pg_attribute WHERE attrelid = 'passages'::regclass AND attname = 'embedding'`,
		).Scan(&width)
	}
	if err := errors.Join(err, first.Close(ctx)); err != nil {
		return nil, fmt.Errorf("prepare the database: %w", err)
	}
	if width != dim {
		return nil, fmt.Errorf("the table passages has vectors of %d dimensions, but the model has %d: "+
			"use another database, or drop the table", width, dim)
	}
	config = config.Copy()
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		if err := pgxvector.RegisterTypes(ctx, c); err != nil {
			return err
		}
		_, err := c.Exec(ctx, "SET hnsw.ef_search = 100") // of the index: the more, the nearer to an exact search
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &store{pool: pool, dim: dim}, nil
}

func (s *store) close() { s.pool.Close() }

// batch is the number of vectors per transaction.
const batch = 256

// write brings the table to the state of the corpus: passages that are new, changed or of another model are encoded and
// written, batch by batch, and those that the corpus lacks are removed. Whoever searches meanwhile sees a passage as it
// was or as it is. Stopped and called again it goes on where it stopped. It returns how many vectors it wrote.
func (s *store) write(ctx context.Context, corpus retort.Corpus, m model, progress func(done, total int)) (int, error) {
	old, err := s.digests(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the table passages: %w", err)
	}
	var pending []retort.Passage
	var digests [][]byte
	fingerprint := m.Fingerprint()
	for i := range corpus.Len() {
		p, err := corpus.At(i)
		if err != nil {
			return 0, err
		}
		digest := sha256.Sum256(fmt.Appendf(nil, "%s %q %q", fingerprint, p.Title, p.Text))
		if !bytes.Equal(old[p.ID], digest[:]) {
			pending, digests = append(pending, p), append(digests, digest[:])
		}
		delete(old, p.ID)
	}
	var gone []string
	for id := range old {
		gone = append(gone, id)
	}
	if _, err := s.pool.Exec(ctx, "DELETE FROM passages WHERE id = ANY($1)", gone); err != nil {
		return 0, fmt.Errorf("remove passages: %w", err)
	}
	for start := 0; start < len(pending); start += batch {
		end := min(start+batch, len(pending))
		if err := s.writeBatch(ctx, m, pending[start:end], digests[start:end]); err != nil {
			return start, fmt.Errorf("write passages %q to %q: %w", pending[start].ID, pending[end-1].ID, err)
		}
		progress(end, len(pending))
	}
	return len(pending), nil
}

func (s *store) digests(ctx context.Context) (map[string][]byte, error) {
	rows, err := s.pool.Query(ctx, "SELECT id, digest FROM passages")
	if err != nil {
		return nil, err
	}
	digests := map[string][]byte{}
	var id string
	var digest []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &digest}, func() error {
		digests[id] = bytes.Clone(digest)
		return nil
	})
	return digests, err
}

// writeBatch replaces the passages' rows in one transaction.
func (s *store) writeBatch(ctx context.Context, m model, passages []retort.Passage, digests [][]byte) error {
	ids, texts := make([]string, len(passages)), make([]string, len(passages))
	for i, p := range passages {
		ids[i], texts[i] = p.ID, p.Content()
	}
	vectors, err := m.Encode(ctx, encoder.Passage, texts)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM passages WHERE id = ANY($1)", ids); err != nil {
			return err
		}
		columns := []string{"id", "title", "text", "digest", "embedding"}
		_, err := tx.CopyFrom(
			ctx,
			pgx.Identifier{"passages"},
			columns,
			pgx.CopyFromSlice(len(passages), func(i int) ([]any, error) {
				v := vectors.Data[i*vectors.Stride : i*vectors.Stride+vectors.Cols]
				return []any{ids[i], passages[i].Title, passages[i].Text, digests[i], pgvector.NewVector(v)}, nil
			}),
		)
		return err
	})
}

// index makes the HNSW index, where it is not there yet. Searches go on, exactly, until it is made. The vectors have
// length 1, so that the inner product is the cosine.
func (s *store) index(ctx context.Context) error {
	_, err := s.pool.Exec(ctx,
		"CREATE INDEX IF NOT EXISTS passages_embedding ON passages USING hnsw (embedding vector_ip_ops)")
	return err
}

// hit is one passage of an answer.
type hit struct {
	ID    string
	Score float32 // cosine
}

// search returns the k passages nearest to an encoded query [d]; fewer where the table has fewer.
func (s *store) search(ctx context.Context, query []float32, k int) ([]hit, error) {
	// <#> is the negative inner product.
	rows, err := s.pool.Query(ctx,
		"SELECT id, (-(embedding <#> $1))::real FROM passages ORDER BY embedding <#> $1 LIMIT $2", pgvector.NewVector(query),
		k)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[hit])
}

// ask remembers a query.
func (s *store) ask(ctx context.Context, text string) error {
	_, err := s.pool.Exec(ctx, "INSERT INTO asked (text) VALUES ($1)", text)
	return err
}

// asked returns the last most queries that differ, ready to train on.
func (s *store) asked(ctx context.Context, most int) ([]retort.Query, error) {
	rows, err := s.pool.Query(ctx, "SELECT text FROM asked GROUP BY text ORDER BY max(id) DESC LIMIT $1", most)
	if err != nil {
		return nil, err
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	var queries []retort.Query
	seen := map[string]bool{"": true}
	for i, text := range texts {
		if key := generate.Normalize(text); !seen[key] {
			seen[key] = true
			queries = append(queries, retort.Query{ID: fmt.Sprintf("asked%d", i), Text: text})
		}
	}
	return queries, nil
}

// vectors returns the vectors of the corpus, in its order.
func (s *store) vectors(ctx context.Context, corpus retort.Corpus) (blas32.General, error) {
	rows, err := s.pool.Query(ctx, "SELECT id, embedding FROM passages")
	if err != nil {
		return blas32.General{}, err
	}
	m := blas32.General{Rows: corpus.Len(), Cols: s.dim, Stride: s.dim, Data: make([]float32, corpus.Len()*s.dim)}
	read := 0
	var id string
	var v pgvector.Vector
	_, err = pgx.ForEachRow(rows, []any{&id, &v}, func() error {
		if i, ok := corpus.Index(id); ok {
			copy(m.Data[i*m.Stride:], v.Slice())
			read++
		}
		return nil
	})
	if err == nil && read != corpus.Len() {
		err = fmt.Errorf("the table passages has %d of %d passages: write them first", read, corpus.Len())
	}
	return m, err
}
