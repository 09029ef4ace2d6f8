"""Native code: LLVM IR as text, compiled once, called by pointer."""
