package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

// specialiseOnce trains on what a service with the same folder was asked, and leaves the model for that service, which
// another process may be. It answers nothing.
func specialiseOnce(ctx context.Context, corpus retort.Corpus, o settings) (err error) {
	s := &service{settings: o, corpus: corpus}
	base, err := o.Open(ctx, o.Model, false)
	if err != nil {
		return err
	}
	s.base = baseName(base)
	vectors, err := s.embed(ctx, base)
	if err = errors.Join(err, base.Close()); err != nil {
		return err
	}
	if s.index, err = mine.NewDenseVectors(nil, vectors); err != nil {
		return err
	}
	if s.queries, err = readQueryLog(filepath.Join(o.Dir, queriesFile)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.queries.file.Close()) }()
	newest, err := s.newest()
	if err != nil {
		return err
	}
	if newest == s.queries.asked() {
		return errNothing
	}
	last, asked, err := s.train(ctx)
	if err != nil {
		return err
	}
	o.Logger.Info("specialised", "queries", asked, "kept", last.Taken, "verdict", last.Verdict)
	return nil
}
