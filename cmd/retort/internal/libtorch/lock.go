package libtorch

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// lock waits until no other process installs into dir. unlock or the end of the process releases the lock.
func lock(ctx context.Context, dir string, progress io.Writer) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for waited := false; ; waited = true {
		ok, err := tryLock(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if ok {
			return func() { f.Close() }, nil
		}
		if !waited {
			fmt.Fprintln(progress, "another install is running: waiting for it")
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
