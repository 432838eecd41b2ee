//go:build !libtorch

package raw

func GlooAvailable() bool                                       { return false }
func GlooConnect(GlooOptions, int, string) (Gloo, error)        { return nil, nil }
func GlooAllReduce(Gloo, []float32) (GlooOperation, error)      { return nil, nil }
func GlooAllGather(Gloo, []float32, int) (GlooOperation, error) { return nil, nil }
func GlooBroadcast(Gloo, []float32, int) (GlooOperation, error) { return nil, nil }
func GlooWait(GlooOperation) error                              { return nil }
func GlooRead(GlooOperation, int, []float32)                    {}
func GlooFreeOperation(GlooOperation)                           {}
func GlooDisconnect(Gloo) error                                 { return nil }
func GlooFree(Gloo) error                                       { return nil }
