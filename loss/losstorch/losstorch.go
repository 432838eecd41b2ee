package losstorch

import (
	"errors"
	"fmt"

	"github.com/retort-ir/retort/internal/device"
	"github.com/retort-ir/retort/internal/torch"
	"github.com/retort-ir/retort/loss"
)

// defaultBudget is what Options.Budget is by default: 64 MiB.
const defaultBudget = 64 << 20

// Options are the device, precision and memory of a [Loss]. The zero value computes on the CPU in float32.
type Options struct {
	// Threads is the number of threads that an operation may use; 0 means GOMAXPROCS.
	Threads int
	// Device is a retort.Device: "cpu" (the default, also ""), "cuda", or "cuda:N", counted from 0.
	Device string
	// Precision is the precision of matrix products: "fp32" (the default, also ""), or "fp64", for checks and for
	// temperatures far below 0.01.
	Precision string
	// Budget is the largest number of bytes on the device for similarities and matrices of their shape; 0 means 64 MiB.
	// The vectors and their gradients need 8 bytes (16 in fp64) more for each element of q and p.
	Budget int64
}

// Validate returns an error that names the wrong field.
func (o Options) Validate() error {
	_, noDevice := device.Parse(o.Device)
	switch {
	case o.Threads < 0:
		return fmt.Errorf("losstorch: Options.Threads is %d: it must be at least 0", o.Threads)
	case noDevice != nil:
		return fmt.Errorf("losstorch: Options.Device: %w", noDevice)
	case o.Precision != "" && o.Precision != "fp32" && o.Precision != "fp64":
		return fmt.Errorf("losstorch: Options.Precision is %q; fp32 and fp64 are supported", o.Precision)
	case o.Budget < 0:
		return fmt.Errorf("losstorch: Options.Budget is %d: it must be at least 0", o.Budget)
	}
	return nil
}

func (o Options) precision() (kind torch.Type, size int64) {
	if o.Precision == "fp64" {
		return torch.Float64, 8
	}
	return torch.Float32, 4
}

// Loss is a loss on LibTorch. It implements loss.Batch on LibTorch and loss.Loss with the rows of package loss. It is
// safe for concurrent use; concurrent steps run one after another.
type Loss struct {
	rt      *torch.Runtime
	loss    loss.Loss
	terms   terms
	options Options
}

var (
	_ loss.Loss        = (*Loss)(nil)
	_ loss.PartedBatch = (*Loss)(nil)
)

// New returns a Loss that computes l on LibTorch. l must be a loss.InfoNCE, loss.ListwiseKL, loss.MarginMSE or a
// loss.Sum of these; another loss is an error. The caller must call Close.
func New(l loss.Loss, o Options) (*Loss, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if l == nil {
		return nil, errors.New("losstorch: no loss")
	}
	if v, ok := l.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return nil, fmt.Errorf("losstorch: %w", err)
		}
	}
	var parts terms
	if err := parts.add(l, 1, -1); err != nil {
		return nil, err
	}
	rt, err := torch.Open(torch.Options{Threads: o.Threads, Device: o.Device})
	if err != nil {
		return nil, err
	}
	return &Loss{rt: rt, loss: l, terms: parts, options: o}, nil
}

// Close waits for the current step and ends the loss's thread. Row still works after it. A second Close does nothing.
func (l *Loss) Close() error { return l.rt.Close() }

// Row implements loss.Loss on the host with the loss passed to New.
func (l *Loss) Row(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
	return l.loss.Row(r, sim, grad, scale)
}

// PartNames returns the part names of the loss passed to New, or none if that loss is not a loss.Parted.
func (l *Loss) PartNames() []string {
	if p, ok := l.loss.(loss.Parted); ok {
		return p.PartNames()
	}
	return nil
}

// Masked implements loss.Masker with the loss passed to New. It appends nothing if that loss is not a loss.Masker.
func (l *Loss) Masked(columns []int32, r *loss.Row) ([]int32, error) {
	if m, ok := l.loss.(interface {
		Masked(columns []int32, r *loss.Row) ([]int32, error)
	}); ok {
		return m.Masked(columns, r)
	}
	return columns, nil
}

// terms are a loss taken apart: what reads every column of the step, and what reads the query's own list only.
type terms struct {
	infoNCE   []infoNCE
	list      loss.Sum
	listParts []int // of the terms of list
}

type infoNCE struct {
	loss.InfoNCE
	weight float64
	part   int // which of the loss's parts it belongs to, counted from 0; -1: the loss is no sum
}

func (n infoNCE) temperature() float64 {
	if n.Temperature == 0 {
		return loss.DefaultInfoNCETemperature
	}
	return n.Temperature
}

// add takes apart what belongs to a part; -1 stands for the whole loss.
func (t *terms) add(l loss.Loss, weight float64, part int) error {
	switch l := l.(type) {
	case loss.InfoNCE:
		t.infoNCE = append(t.infoNCE, infoNCE{l, weight, part})
	case loss.ListwiseKL, loss.MarginMSE:
		t.list = append(t.list, loss.Term{Weight: weight, Loss: l})
		t.listParts = append(t.listParts, part)
	case loss.Sum:
		for i, term := range l {
			if part >= 0 {
				i = part
			}
			if term.Weight == 0 {
				continue
			}
			if err := t.add(term.Loss, weight*term.Weight, i); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("losstorch: loss of type %T is not supported: only InfoNCE, ListwiseKL, MarginMSE and sums of "+
			"them, "+
			"as values, run on LibTorch", l)
	}
	return nil
}
