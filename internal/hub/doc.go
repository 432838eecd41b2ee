// Package hub downloads models by name from the Hugging Face hub, or a mirror of it, to the cache that Python's
// huggingface_hub uses: what one of them has downloaded, the other one finds.
//
// A name is ORGANISATION/MODEL, then @REVISION for a branch, tag or commit other than main, then :FILE for one file,
// such as a GGUF file. The environment variables of huggingface_hub apply: HF_HOME, HF_HUB_CACHE, HF_ENDPOINT,
// HF_TOKEN, HF_TOKEN_PATH, HF_HUB_DISABLE_IMPLICIT_TOKEN and HF_HUB_OFFLINE.
//
// The layout of the cache (https://huggingface.co/docs/huggingface_hub/guides/manage-cache):
//
//	models--ORGANISATION--MODEL/refs/main                    the commit of the branch
//	models--ORGANISATION--MODEL/blobs/ETAG                   a file's bytes; ETAG is their SHA-256, or git's SHA-1
//	models--ORGANISATION--MODEL/snapshots/COMMIT/config.json a link to ../../blobs/ETAG
//	.locks/models--ORGANISATION--MODEL/ETAG.lock             held while the file is downloaded
package hub
