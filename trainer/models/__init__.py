"""Networks: springfield_cnn, keras.applications, or a user's own."""
