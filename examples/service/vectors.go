package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

// embed returns the vectors of the corpus [n x d], which it takes from the folder where an earlier start left those of
// the same model and corpus.
func (s *service) embed(ctx context.Context, m model) (blas32.General, error) {
	key, err := vectorsKey(s.corpus, m.Fingerprint())
	if err != nil {
		return blas32.General{}, err
	}
	path := filepath.Join(s.Dir, "vectors-"+key+".f32")
	vectors, err := readVectors(path, s.corpus.Len(), m.Dim())
	if err == nil {
		return vectors, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		s.Logger.Warn("embedding anew", "error", err)
	}
	dense, err := mine.NewDense(ctx, m, s.corpus,
		func(done, total int) { s.Logger.Info("embedding", "passages", done, "of", total) })
	if err != nil {
		return blas32.General{}, err
	}
	others, err := filepath.Glob(filepath.Join(s.Dir, "vectors-*.f32*"))
	for _, other := range others {
		err = errors.Join(err, os.Remove(other))
	}
	return dense.Vectors(), errors.Join(err, writeVectors(path, dense.Vectors()))
}

// vectorsKey stands for what the vectors depend on.
func vectorsKey(corpus retort.Corpus, fingerprint string) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", fingerprint)
	for i := range corpus.Len() {
		p, err := corpus.At(i)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q\n", p.Content())
	}
	return fmt.Sprintf("%.16x", h.Sum(nil)), nil
}

// writeVectors writes the rows as little-endian float32, then the SHA-256 of that. The file appears whole or not at
// all.
func writeVectors(path string, m blas32.General) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	w := bufio.NewWriter(io.MultiWriter(f, sum))
	for i := range m.Rows {
		for _, x := range m.Data[i*m.Stride : i*m.Stride+m.Cols] {
			// An error stays in w until Flush.
			_, _ = w.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(x)))
		}
	}
	err = w.Flush()
	if err == nil {
		_, err = f.Write(sum.Sum(nil))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func readVectors(path string, rows, cols int) (blas32.General, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return blas32.General{}, err
	}
	body := len(raw) - sha256.Size
	if body != rows*cols*4 || sha256.Sum256(raw[:body]) != [sha256.Size]byte(raw[body:]) {
		return blas32.General{}, fmt.Errorf("%s is damaged", path)
	}
	m := blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: make([]float32, rows*cols)}
	for i := range m.Data {
		m.Data[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[i*4:]))
	}
	return m, nil
}
