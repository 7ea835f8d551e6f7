CREATE TABLE half_way (id int);
COMMIT;
