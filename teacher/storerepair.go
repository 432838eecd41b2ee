package teacher

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/filelock"
	"github.com/retort-ir/retort/internal/regular"
)

// CheckStore reads the store of a folder, if there is one, and changes nothing. Any record that is not as it was
// written is ErrCorrupt, also one at the end that a kill can have left unfinished, and so is a damaged header.
func CheckStore(ctx context.Context, dir string) error {
	path := filepath.Join(dir, StoreFile)
	f, err := regular.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	s, err := salvage(ctx, f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if s.dropped > 0 || s.header {
		return fmt.Errorf("%s: %w: %d of %d records are not as they were written", path, ErrCorrupt, s.dropped,
			s.dropped+len(s.records))
	}
	return nil
}

// StoreRepair says what RepairStore did.
type StoreRepair struct{ Kept, Lost int } // scores

// RepairStore writes the store of a folder anew with all records whose checksums fit: scores that are lost will be
// computed again. A store that is whole is left alone, with a nil result, and one that is open elsewhere is ErrLocked.
func RepairStore(ctx context.Context, dir string) (*StoreRepair, error) {
	path := filepath.Join(dir, StoreFile)
	f, err := regular.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := filelock.Lock(f); errors.Is(err, filelock.ErrLocked) {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrLocked, err)
	} else if err != nil {
		return nil, err
	}
	s, err := salvage(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.dropped == 0 && !s.header {
		return nil, nil
	}
	return &StoreRepair{len(s.records), s.dropped}, atomicfile.Write(path, func(w io.Writer) error {
		data := []byte(storeHeader)
		for _, r := range s.records {
			data = appendRecord(data, r)
		}
		_, err := w.Write(data)
		return err
	})
}

// salvaged is what is good of a store's file.
type salvaged struct {
	records []record // in their order
	dropped int
	header  bool // is damaged
}

// salvage reads on behind bad records. A file without a good record whose header is another's is no store.
func salvage(ctx context.Context, r io.Reader) (*salvaged, error) {
	br := bufio.NewReaderSize(r, 1<<20)
	s := &salvaged{}
	header := make([]byte, len(storeHeader))
	n, err := io.ReadFull(br, header)
	if err == io.EOF {
		return s, nil
	}
	if err != nil && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	s.header = string(header[:n]) != storeHeader
	var data [recordSize]byte
	for number := 0; ; number++ {
		if number%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		n, err := io.ReadFull(br, data[:])
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, err
		}
		if n == 0 {
			break
		}
		if rec, ok := parseRecord(data[:]); ok && err == nil {
			s.records = append(s.records, rec)
		} else {
			s.dropped++
		}
		if err != nil {
			break
		}
	}
	if s.header && len(s.records) == 0 {
		return nil, fmt.Errorf("not a score cache: it begins with %q; give another folder or remove the file", header)
	}
	return s, nil
}
