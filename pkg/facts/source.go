package facts

// SourceAPI is the [Cluster.Source] of what an API server told and goes on telling. Any other source is a file that may have been written at another time.
const SourceAPI = "API server"
