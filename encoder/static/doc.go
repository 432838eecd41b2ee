// Package static encodes texts by static embeddings: a vector is the mean of the rows that a table holds for the text's
// tokens, without a network. It needs no LibTorch and no GPU, and encodes thousands of texts a second on one core, which
// suits tests, laptops and first experiments.
//
// It reads the folders of model2vec and of sentence-transformers' module StaticEmbedding, and gives the vectors of
// encode_query and encode_document of sentence-transformers 6.
package static
