package gloo

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFromEnvReadsTorchrunsVariables(t *testing.T) {
	set := func(pairs ...string) map[string]string {
		env := map[string]string{"MASTER_ADDR": "node0", "MASTER_PORT": "29500", "RANK": "1", "WORLD_SIZE": "4"}
		for i := 0; i < len(pairs); i += 2 {
			env[pairs[i]] = pairs[i+1]
		}
		return env
	}
	for name, test := range map[string]struct {
		env  map[string]string
		want Options
		err  string
	}{
		"by hand": {set(), Options{Host: "node0", Port: 29500, Rank: 1, Size: 4}, ""},
		"torchrun": {
			set("TORCHELASTIC_USE_AGENT_STORE", "True", "TORCHELASTIC_RESTART_COUNT", "2"),
			Options{Host: "node0", Port: 29500, Rank: 1, Size: 4, Served: true, Attempt: 2},
			"",
		},
		"one worker": {set("RANK", "0", "WORLD_SIZE", "1"), Options{Host: "node0", Port: 29500, Size: 1}, ""},
		"nothing":    {map[string]string{}, Options{}, ErrNoGroup.Error()},
		"no rank":    {set("RANK", ""), Options{}, `RANK is "", want a number`},
		"no size":    {set("WORLD_SIZE", ""), Options{}, `WORLD_SIZE is "", want a number`},
		"no number":  {set("MASTER_PORT", "http"), Options{}, `MASTER_PORT is "http", want a number`},
		"rank":       {set("RANK", "4"), Options{}, "RANK (Options.Rank) is 4, want it in [0,4)"},
		"below 0":    {set("RANK", "-1"), Options{}, "RANK (Options.Rank) is -1"},
		"size":       {set("WORLD_SIZE", "0"), Options{}, "WORLD_SIZE (Options.Size) is 0"},
		"no host":    {set("MASTER_ADDR", ""), Options{}, "MASTER_ADDR (Options.Host) is not set"},
		"port":       {set("MASTER_PORT", "65536"), Options{}, "MASTER_PORT (Options.Port) is 65536"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fromEnv(func(name string) string { return test.env[name] })
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestConnectRefusesOptionsThatAreWrong(t *testing.T) {
	_, err := Connect(context.Background(), Options{Host: "localhost", Port: 29500, Rank: 2, Size: 2})
	require.ErrorContains(t, err, "Options.Rank")
	_, err = Connect(context.Background(), Options{Host: "localhost", Port: 29500, Size: 2, Timeout: -1})
	require.ErrorContains(t, err, "Options.Timeout")
}
