package bert_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/bert"
)

func TestZZG(t *testing.T) {
	for n, d := range map[string]string{"out-bge": "/tmp/w/i5/bge-small", "out-e5": "/tmp/w/i5/e5-small"} {
		raw, _ := os.ReadFile("/tmp/w/G/" + n + ".json")
		var j struct {
			Q, P   []string
			Eq, Ep [][]float64
		}
		json.Unmarshal(raw, &j)
		m, err := bert.Open(context.Background(), d, bert.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []struct {
			r encoder.Role
			t []string
			w [][]float64
		}{{encoder.Query, j.Q, j.Eq}, {encoder.Passage, j.P, j.Ep}} {
			v, err := m.Encode(context.Background(), s.r, s.t)
			if err != nil {
				t.Fatal(err)
			}
			worst := 0.
			for i := range s.t {
				for k := range v.Cols {
					worst = max(worst, math.Abs(float64(v.Data[i*v.Stride+k])-s.w[i][k]))
				}
			}
			t.Log(n, s.r, worst)
		}
		m.Close()
	}
}
