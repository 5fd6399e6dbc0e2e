#pragma once
/// Settings of the whole process: for programs, which own it. Nothing else in the library touches
/// them.

namespace fmgs {

/// Makes Ctrl-C and SIGTERM set a flag instead of ending the process; a second Ctrl-C ends it as
/// usual.
void catch_interrupt();
bool interrupted();

/// Tells glibc to keep the memory that is freed instead of giving blocks of more than 32 MB, and
/// what tops the heap, back to the system: a training step asks for the same blocks as the step
/// before, and the system hands out empty pages one fault at a time. At the start of main(). Does
/// nothing with another C library.
void keep_freed_memory();

}  // namespace fmgs
