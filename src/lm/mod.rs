//! Language models: families, weights, tokenizer, gradients, optimizer.
