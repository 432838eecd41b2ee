//go:build libtorch

package transformer

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/safetensors"
)

func openFamily(t testing.TB, name string, o Options) *Model {
	t.Helper()
	return openModel(t, filepath.Join("testdata", familyFolder(name)), o)
}

// The reference is sentence-transformers 6.2 on transformers 5.24.
func TestEmbeddingsOfEveryFamilyEqualSentenceTransformers(t *testing.T) {
	for _, name := range families {
		for _, budget := range []int{0, 30} {
			t.Run(fmt.Sprintf("%s, budget %d", name, budget), func(t *testing.T) {
				g := readFamilyGolden(t, name)
				m := openFamily(t, name, Options{BatchTokens: budget})
				requireRows(t, g.Query.Embeddings, encode(t, m, encoder.Query, g.Query.Texts))
				requireRows(t, g.Passage.Embeddings, encode(t, m, encoder.Passage, g.Passage.Texts))
				for _, long := range g.Long {
					got := encode(t, m, encoder.Passage, []string{"short", longText(long.Words)})
					require.InDeltaSlice(t, long.Embedding, matrix.Row(got, 1), 1e-5, "%d words", long.Words)
				}
			})
		}
	}
}

// Rotary positions have no table: texts may be longer than those that the model was trained on, if the user says so.
func TestRotaryPositionsGoOnBeyondThoseOfTheFolder(t *testing.T) {
	for _, name := range families {
		g := readFamilyGolden(t, name)
		if len(g.Long) == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := changedFolder(t, familyFolder(name), func(dir string) {
				changeJSON(t, dir, configJSON, func(j map[string]any) { j["max_position_embeddings"] = 64 })
			})
			m := openModel(t, dir, Options{QueryTokens: 64, PassageTokens: 1200})
			for _, long := range g.Long {
				got := encode(t, m, encoder.Passage, []string{longText(long.Words)})
				require.InDeltaSlice(t, long.Embedding, matrix.Row(got, 0), 1e-5, "%d words", long.Words)
			}
		})
	}
}

// With CLS pooling the last layer computes one token of each text. With "cls+max" it computes all of them.
func TestTheFirstTokenAloneIsThatOfWholeTexts(t *testing.T) {
	for _, name := range families {
		t.Run(name, func(t *testing.T) {
			texts := readFamilyGolden(t, name).Passage.Texts
			alone := encode(t, openFamily(t, name, Options{Pooling: "cls"}), encoder.Passage, texts)
			both := encode(t, openFamily(t, name, Options{Pooling: "cls+max"}), encoder.Passage, texts)
			first, _ := matrix.Leading(both, alone.Cols)
			requireRows(t, rowsOf(first), alone)
		})
	}
}

// The reference is PyTorch's autograd through sentence-transformers' model.
func TestGradientsOfEveryFamilyEqualPyTorch(t *testing.T) {
	for _, name := range families {
		t.Run(name, func(t *testing.T) {
			g := readFamilyGolden(t, name)
			m := openFamily(t, name, Options{})
			backwardFamily(t, m, g)
			require.Len(t, m.Parameters(), len(g.Gradients))
			for _, p := range m.Parameters() {
				want, ok := g.Gradients[p.Name]
				require.True(t, ok, p.Name)
				grad, err := p.Grad()
				require.NoError(t, err)
				got := projections(grad)
				for k := range want {
					// A key's bias has no gradient but rounding: softmax does not see it.
					require.InDelta(t, want[k], got[k], 1e-4*want[0]+2e-5, "%s, projection %d", p.Name, k)
				}
			}
		})
	}
}

// backwardFamily pushes the gradient of the golden through the passages, in two micro-batches.
func backwardFamily(t *testing.T, m *Model, g familyGolden) {
	in, err := m.Prepare(t.Context(), encoder.Passage, g.Passage.Texts)
	require.NoError(t, err)
	upstream := familyUpstream(len(g.Passage.Texts), m.Dim())
	for _, rows := range [][2]int{{0, 7}, {7, len(upstream)}} {
		pass, err := m.Forward(t.Context(), in, span(rows[0], rows[1]), true)
		require.NoError(t, err)
		require.NoError(t, pass.Backward(matrixOf(upstream[rows[0]:rows[1]])))
		require.NoError(t, pass.Close())
	}
}

// The contract includes that training goes on from a saved state with the same bits.
func TestEveryFamilyKeepsTheContract(t *testing.T) {
	for _, name := range families {
		t.Run(name, func(t *testing.T) {
			keepsTheContract(t, filepath.Join("testdata", familyFolder(name)))
		})
	}
}

// A model that was trained, saved and opened again, with one tower and with two, gives the same vectors in Retort and in
// sentence-transformers 6.2, and keeps the family's names.
func TestTrainedModelsOfEveryFamilyAreSavedAsTheyCame(t *testing.T) {
	var folders checked
	for _, name := range families {
		for _, towers := range []int{1, 2} {
			g := readFamilyGolden(t, name)
			m := openFamily(t, name, Options{})
			if towers == 2 {
				require.NoError(t, m.SplitTowers())
			}
			before := encode(t, m, encoder.Query, g.Query.Texts)
			train(t, m, golden{Query: g.Query, Passage: g.Passage})
			require.NotEqual(t, before, encode(t, m, encoder.Query, g.Query.Texts))
			dir := filepath.Join(t.TempDir(), name)
			require.NoError(t, m.Save(dir))

			again := openModel(t, dir, Options{})
			passages := append(slices.Clone(g.Passage.Texts), longText(400))
			want := map[string]embedded{
				"query":   embeddedBy(t, m, encoder.Query, g.Query.Texts),
				"passage": embeddedBy(t, m, encoder.Passage, passages),
			}
			require.Equal(t, want["query"], embeddedBy(t, again, encoder.Query, g.Query.Texts))
			require.Equal(t, want["passage"], embeddedBy(t, again, encoder.Passage, passages))
			for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
				tower := again.folder.Side(role).Tower
				requireSameNames(t, m.folder.Side(role).Tower.Dir, tower.Dir)
			}
			if name == "new" {
				asGTE(t, again.folder.Query.Tower.Dir)
				if towers == 2 {
					asGTE(t, again.folder.Passage.Tower.Dir)
				}
			}
			folders.add(t, dir, want)
		}
	}
	folders.inPython(t)
}

// requireSameNames checks that config.json and the weights of a saved tower are those of the family, without a head.
func requireSameNames(t *testing.T, was, is string) {
	var before, after struct {
		ModelType     string   `json:"model_type"`
		Architectures []string `json:"architectures"`
		AutoMap       any      `json:"auto_map"`
	}
	readGolden(t, filepath.Join(was, configJSON), &before)
	readGolden(t, filepath.Join(is, configJSON), &after)
	require.Equal(t, before, after)
	require.Equal(t, bareNames(t, was), bareNames(t, is))
}

func bareNames(t *testing.T, dir string) []string {
	f, err := safetensors.Open(filepath.Join(dir, weightsFile))
	require.NoError(t, err)
	defer f.Close()
	var names []string
	for _, name := range f.Names() {
		if name = strings.TrimPrefix(name, "new."); !strings.HasPrefix(name, "classifier.") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// asGTE gives a folder of model_type new, whose Python code is on the Hugging Face hub, the configuration of the same
// network in transformers.
func asGTE(t *testing.T, dir string) {
	changeJSON(t, dir, configJSON, func(j map[string]any) {
		d := j["hidden_size"].(float64) / j["num_attention_heads"].(float64)
		j["model_type"], j["architectures"] = "gte", []string{"GteModel"}
		j["rope_parameters"] = map[string]any{"rope_type": "linear", "rope_theta": 1e6, "factor": math.Pow(2, 2/d)}
		for _, key := range []string{"auto_map", "rope_scaling", "rope_theta"} {
			delete(j, key)
		}
	})
}

// Folders as other versions wrote them: the vectors are those of the golden. They are nomic_bert by the code that was on
// the Hugging Face hub first, a CamemBERT, which is a RoBERTa, ModernBERT of transformers 4, and Qwen3-Embedding: without
// sentence_bert_config.json, with a chat template, which sentence-transformers 6.2 does not apply to texts either.
func TestOtherFoldersOfTheSameNetworks(t *testing.T) {
	for name, c := range map[string]struct {
		family string
		change func(t *testing.T, dir string)
	}{
		"nomic_bert of the hub": {"nomic_bert", withConfig(func(j map[string]any) {
			for key, other := range map[string]string{
				"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head",
				"intermediate_size": "n_inner", "max_position_embeddings": "n_positions", "layer_norm_eps": "layer_norm_epsilon",
			} {
				j[other] = j[key]
				delete(j, key)
			}
			deleteKeys(j, "rope_parameters", "hidden_act", "head_dim")
			j["activation_function"], j["rotary_emb_base"], j["rotary_emb_fraction"] = "swiglu", 1000, 1
			j["qkv_proj_bias"], j["mlp_fc1_bias"], j["mlp_fc2_bias"] = false, false, false
			j["rotary_emb_interleaved"], j["prenorm"], j["causal"], j["use_rms_norm"] = false, false, false, false
			j["auto_map"] = map[string]any{"AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel"}
		})},
		"camembert": {"xlm-roberta", withConfig(func(j map[string]any) {
			j["model_type"], j["architectures"] = "camembert", []string{"CamembertModel"}
		})},
		"modernbert of transformers 4": {"modernbert", withConfig(func(j map[string]any) {
			deleteKeys(j, "rope_parameters", "layer_types")
			j["global_attn_every_n_layers"], j["global_rope_theta"], j["local_rope_theta"] = 3, 160000.0, 10000.0
		})},
		"Qwen3-Embedding": {"qwen3", asQwen3Embedding},
		"qwen3, padded on the right": {"qwen3", func(t *testing.T, dir string) {
			changeJSON(t, dir, tokenizerConfig, func(j map[string]any) { j["padding_side"] = "right" })
		}},
		"qwen3, padded on the left by an argument": {"qwen3", func(t *testing.T, dir string) {
			changeJSON(t, dir, sentenceBERTJSON, func(j map[string]any) {
				j["processor_kwargs"] = map[string]any{"padding_side": "left"}
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := readFamilyGolden(t, c.family)
			m := openModel(t, changedFolder(t, familyFolder(c.family), func(dir string) { c.change(t, dir) }), Options{})
			require.Empty(t, m.folder.notes)
			requireRows(t, g.Query.Embeddings, encode(t, m, encoder.Query, g.Query.Texts))
			requireRows(t, g.Passage.Embeddings, encode(t, m, encoder.Passage, g.Passage.Texts))
		})
	}
}

func withConfig(change func(map[string]any)) func(*testing.T, string) {
	return func(t *testing.T, dir string) { changeJSON(t, dir, configJSON, change) }
}

// asQwen3Embedding gives a folder the files of the models of that name.
func asQwen3Embedding(t *testing.T, dir string) {
	remove(t, dir, sentenceBERTJSON)
	changeJSON(t, dir, configJSON, func(j map[string]any) {
		deleteKeys(j, "layer_types", "rope_parameters", "dtype", "pad_token_id")
		j["architectures"], j["rope_theta"], j["rope_scaling"] = []string{"Qwen3ForCausalLM"}, 1000000, nil
		j["bos_token_id"], j["tie_word_embeddings"], j["use_cache"] = 330, true, true
	})
	changeJSON(t, dir, "1_Pooling/config.json", func(j map[string]any) {
		delete(j, "pooling_mode")
		j["pooling_mode_lasttoken"], j["pooling_mode_mean_tokens"], j["pooling_mode_cls_token"] = true, false, false
	})
	special := func(content string) map[string]any {
		return map[string]any{
			"content": content, "lstrip": false, "normalized": false, "rstrip": false, "single_word": false, "special": true,
		}
	}
	changeJSON(t, dir, tokenizerConfig, func(j map[string]any) {
		deleteKeys(j, "padding_side", "backend", "is_local", "local_files_only")
		j["add_bos_token"], j["add_prefix_space"], j["bos_token"], j["unk_token"] = false, false, nil, nil
		j["added_tokens_decoder"] = map[string]any{"330": special("<|endoftext|>"), "331": special("<|im_end|>")}
		j["additional_special_tokens"] = []string{"<|im_end|>"}
		j["chat_template"] = "{%- for m in messages %}{{- '<|im_end|>' + m.role + m.content }}{%- endfor %}"
		j["clean_up_tokenization_spaces"], j["errors"], j["split_special_tokens"] = false, "replace", false
		j["model_max_length"] = 131072
	})
}

func deleteKeys(j map[string]any, keys ...string) {
	for _, key := range keys {
		delete(j, key)
	}
}

// familyUpstream returns the gradient of the loss with respect to the embeddings by the rule of make_families.py.
func familyUpstream(rows, width int) [][]float32 {
	grad := make([][]float32, rows)
	for i := range grad {
		grad[i] = make([]float32, width)
		for j := range grad[i] {
			grad[i][j] = float32(math.Cos(float64(7*i + j + 1)))
		}
	}
	return grad
}

// projections returns the L2 norm of a gradient and its scalar products with cos(k (i + 1)), k = 1, 2, 3.
func projections(g []float32) (p [4]float64) {
	for i, v := range g {
		p[0] += float64(v) * float64(v)
		for k := 1; k < 4; k++ {
			p[k] += float64(v) * math.Cos(float64(k)*float64(i+1))
		}
	}
	p[0] = math.Sqrt(p[0])
	return p
}
