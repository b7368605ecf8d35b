"""The prefix trie: many sequences in one forward, scores equal to one by one; reference scores on disk."""
