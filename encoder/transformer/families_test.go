package transformer

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
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
				eachEngine(t, func(t *testing.T, open func(string, Options) *Model) {
					m := open(filepath.Join("testdata", familyFolder(name)), Options{BatchTokens: budget})
					requireRows(t, g.Query.Embeddings, encode(t, m, encoder.Query, g.Query.Texts))
					requireRows(t, g.Passage.Embeddings, encode(t, m, encoder.Passage, g.Passage.Texts))
					for _, long := range g.Long {
						got := encode(t, m, encoder.Passage, []string{"short", longText(long.Words)})
						require.InDeltaSlice(t, long.Embedding, matrix.Row(got, 1), 1e-5, "%d words", long.Words)
					}
				})
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
			eachEngine(t, func(t *testing.T, open func(string, Options) *Model) {
				m := open(dir, Options{QueryTokens: 64, PassageTokens: 1200})
				for _, long := range g.Long {
					got := encode(t, m, encoder.Passage, []string{longText(long.Words)})
					require.InDeltaSlice(t, long.Embedding, matrix.Row(got, 0), 1e-5, "%d words", long.Words)
				}
			})
		})
	}
}

// With CLS pooling, and in pure Go with that of the last token, the last layer computes one token of each text. With
// "cls+max" it computes all of them.
func TestOneTokenAloneIsThatOfWholeTexts(t *testing.T) {
	for _, name := range families {
		t.Run(name, func(t *testing.T) {
			texts := readFamilyGolden(t, name).Passage.Texts
			eachEngine(t, func(t *testing.T, open func(string, Options) *Model) {
				dir := filepath.Join("testdata", familyFolder(name))
				for _, pooling := range []Pooling{CLS, LastToken} {
					alone := encode(t, open(dir, Options{Pooling: string(pooling)}), encoder.Passage, texts)
					both := encode(t, open(dir, Options{Pooling: string(pooling) + "+max"}), encoder.Passage, texts)
					first, _ := matrix.Leading(both, alone.Cols)
					requireRows(t, rowsOf(first), alone)
				}
			})
		})
	}
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
			eachEngine(t, func(t *testing.T, open func(string, Options) *Model) {
				m := open(changedFolder(t, familyFolder(c.family), func(dir string) { c.change(t, dir) }), Options{})
				require.Empty(t, m.folder.notes)
				requireRows(t, g.Query.Embeddings, encode(t, m, encoder.Query, g.Query.Texts))
				requireRows(t, g.Passage.Embeddings, encode(t, m, encoder.Passage, g.Passage.Texts))
			})
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
